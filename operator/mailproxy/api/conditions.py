"""Condition types in the order of the data path, and one condition as users read it."""

from enum import StrEnum

from pydantic import Field

from mailproxy.api.base import ApiModel


class ConditionType(StrEnum):
    """Condition types in the order of the data path; `Ready` sums up those before it."""

    ACCEPTED = "Accepted"
    EDGE_DISCOVERED = "EdgeDiscovered"
    ENTRY_POINTS_READY = "EntryPointsReady"
    ROUTES_READY = "RoutesReady"
    TRUST_READY = "TrustReady"
    MAIL_SERVER_READY = "MailServerReady"
    READY = "Ready"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One condition, as in the Kubernetes API conventions (`metav1.Condition`)."""

    type: ConditionType = Field(description="What is judged.")
    status: ConditionStatus = Field(description="`True`, `False` or `Unknown`.")
    reason: str = Field(max_length=64, description="Why, in one word for programs.")
    message: str = Field(max_length=32768, description="Why, and what to do about it.")
    observed_generation: int = Field(
        description="`metadata.generation` of the spec that was judged.",
        json_schema_extra={"format": "int64"},
    )
    last_transition_time: str = Field(
        max_length=64,
        description="When `status` last changed.",
        json_schema_extra={"format": "date-time"},
    )
