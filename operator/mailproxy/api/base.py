"""What all API models share: camelCase on the wire, immutable in memory, rules that CEL shares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

GROUP = "mailproxy.dev"
VERSION = "v1alpha1"
KIND = "MailProxy"
PLURAL = "mailproxies"

RULES_KEY = "x-kubernetes-validations"
FIELD_PATH = "field_path"  # in an error's context: where below its location it lies


def drop_nulls(value: Any) -> Any:
    """Leave out what is null, as the API server does before it fills in defaults."""
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if item is not None}
    return value


class ApiModel(BaseModel):
    """Base of every model; unknown fields are ignored as the API server prunes them anyway."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore"
    )

    _drop_nulls = model_validator(mode="before")(drop_nulls)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Read what users write: only there, unlike in Python, fields have one name each."""
        return super().model_validate(obj, **({"by_alias": True, "by_name": False} | options))


@dataclass(frozen=True)
class Rule:
    """One thing that must hold, said twice: for the API server in CEL, for the model in Python.

    `holds` gets the same value that `cel` sees as `self`. A rule that cannot judge a value
    because an earlier one already refused it must hold. `reason` is never FieldValueDuplicate:
    the API server prints that without the message. Source: Kubernetes, "Validation rules".
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]
    field_path: str = ""
    reason: str = "FieldValueInvalid"

    def check(self, value: Any) -> Any:
        """Return `value`; raises the error that pydantic collects when the rule does not hold."""
        if not self.holds(value):
            context = {"message": self.message, FIELD_PATH: self.field_path}
            raise PydanticCustomError("rule", "{message}", context)
        return value

    def to_schema(self) -> dict[str, str]:
        """Give the entry under `x-kubernetes-validations`."""
        entry = {"rule": self.cel, "message": self.message, "reason": self.reason}
        return entry | ({"fieldPath": self.field_path} if self.field_path else {})


def schema_rules(*rules: Rule, **extra: Any) -> dict[str, Any]:
    """JSON schema extras that carry `rules` (and other keys) into the CRD."""
    return {RULES_KEY: [rule.to_schema() for rule in rules], **extra}
