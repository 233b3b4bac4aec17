"""A whole MailProxy: identity, spec, and how a refusal is put into words."""

import re
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from mailproxy.api.base import FIELD_PATH, GROUP, KIND, VERSION, ApiModel, Rule
from mailproxy.api.spec import MailProxySpec

MAX_NAME_LENGTH = 50
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")

NAME_RULE = Rule(
    f"self.size() <= {MAX_NAME_LENGTH} && self.matches('^{_NAME.pattern}$')",
    f"must begin with a letter and have at most {MAX_NAME_LENGTH} lower-case"
    " letters, digits and `-`: names of Services are made from it",
    lambda name: len(name) <= MAX_NAME_LENGTH and _NAME.fullmatch(name) is not None,
)

# Names of the two managed ConfigMaps: the MailProxy's with one of these.
_OVERRIDES_SUFFIX = "-overrides"
_TRUST_SUFFIX = "-trust"

OVERRIDES_RULE = Rule(
    "!has(self.spec.mailServer.overridesFrom) || !(self.spec.mailServer.overridesFrom in"
    f" [self.metadata.name + '{_OVERRIDES_SUFFIX}', self.metadata.name + '{_TRUST_SUFFIX}'])",
    "must name a ConfigMap of your own: `<name>-overrides` and `<name>-trust` are mailproxy's",
    lambda proxy: (
        proxy.spec.mail_server.overrides_from not in (proxy.overrides_name, proxy.trust_name)
    ),
    field_path=".spec.mailServer.overridesFrom",
)


class Metadata(ApiModel):
    """The part of `metadata` that decisions rest on."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return str(NAME_RULE.check(name))


class MailProxy(ApiModel):
    """A MailProxy as the API server stores it, without its status."""

    metadata: Metadata
    spec: MailProxySpec = Field(description="Desired state of the MailProxy.")

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        OVERRIDES_RULE.check(self)
        return self

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def overrides_name(self) -> str:
        """Name of the ConfigMap that docker-mailserver reads when it starts."""
        return f"{self.name}{_OVERRIDES_SUFFIX}"

    @property
    def trust_name(self) -> str:
        """Name of the ConfigMap that lists the trusted networks."""
        return f"{self.name}{_TRUST_SUFFIX}"

    @property
    def owner_reference(self) -> dict[str, Any]:
        """Owner reference of children; no `blockOwnerDeletion`, which would need a right."""
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "name": self.metadata.name,
            "uid": self.metadata.uid,
            "controller": True,
        }


def describe_errors(error: ValidationError) -> str:
    """One line for all that pydantic found: `spec.ports[1].sni: what must hold; ...`."""
    return "; ".join(f"{_field_path(found)}: {found['msg']}" for found in error.errors())


def _field_path(error: ErrorDetails) -> str:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return (path + str(error.get("ctx", {}).get(FIELD_PATH, ""))).lstrip(".")
