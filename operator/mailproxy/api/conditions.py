"""Condition types in the order of the data path, and one condition as users read it."""

from enum import StrEnum
from typing import Self

from pydantic import Field

from mailproxy.api.base import ApiModel


class ConditionType(StrEnum):
    """Condition types in the order of the data path; `Ready` sums up those before it.

    `subject` is what the condition is about, in the words of `Ready`'s message.
    """

    subject: str

    def __new__(cls, value: str, subject: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.subject = subject
        return member

    ACCEPTED = "Accepted", "spec"
    EDGE_DISCOVERED = "EdgeDiscovered", "edge"
    ENTRY_POINTS_READY = "EntryPointsReady", "entryPoints"
    ROUTES_READY = "RoutesReady", "routes"
    TRUST_READY = "TrustReady", "trust"
    PORTS_ISOLATED = "PortsIsolated", "network policy"
    MAIL_SERVER_READY = "MailServerReady", "mail server"
    READY = "Ready", "mail"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One condition, as in the Kubernetes API conventions (`metav1.Condition`)."""

    type: ConditionType = Field(description="Type of the condition.")
    status: ConditionStatus = Field(description="`True`, `False` or `Unknown`.")
    reason: str = Field(max_length=64, description="Machine-readable reason in CamelCase.")
    message: str = Field(max_length=32768, description="Explanation, and how to fix it.")
    observed_generation: int = Field(
        description="`metadata.generation` of the spec that was observed.",
        json_schema_extra={"format": "int64"},
    )
    last_transition_time: str = Field(
        max_length=64,
        description="Time of the last change of `status`.",
        json_schema_extra={"format": "date-time"},
    )
