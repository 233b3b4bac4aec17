"""Names, host names and labels as users may write them."""

import re
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from mailproxy.api.base import ApiModel, Rule, drop_nulls, schema_rules

_DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_LABEL_NAME = r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)"


# What Kubernetes itself takes, to be matched in full.
NAMESPACE = re.compile(_DNS_LABEL)
LABEL_KEY = re.compile(rf"({_DNS_SUBDOMAIN}/)?{_LABEL_NAME}")
LABEL_VALUE = re.compile(rf"{_LABEL_NAME}?")


def _matching(pattern: str, message: str) -> Rule:
    regex = re.compile(pattern)
    cel = f"self.matches('^{pattern}$')".replace("\\", "\\\\")
    return Rule(cel, message, lambda text: regex.fullmatch(text) is not None)


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def ruled(*rules: Rule) -> Any:
    """Annotated metadata: the rules in the schema and the same rules in the model."""

    def check(value: Any) -> Any:
        for rule in rules:
            rule.check(value)
        return value

    return AfterValidator(check), Field(json_schema_extra=schema_rules(*rules))


_ENDS_IN_NUMBER = re.compile(r"[.][0-9]+\Z")  # no top-level domain does, but `010.0.0.1`
_HOSTNAME_RULES = ruled(
    _matching(
        r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+",
        "must be a fully qualified host name in lower case, such as `mail.example.com`, without"
        " a wildcard and without a dot at its end",
    ),
    Rule(
        "!isIP(self) && !self.matches('[.][0-9]+$')",
        "must be a host name, not an address: it is what clients name in TLS",
        lambda text: not _is_address(text) and _ENDS_IN_NUMBER.search(text) is None,
    ),
)
_NAMESPACE_RULES = ruled(
    _matching(_DNS_LABEL, "must be the name of a namespace: lower-case letters, digits and `-`")
)
_SERVICE_RULES = ruled(
    _matching(_DNS_LABEL, "must be the name of a Service: lower-case letters, digits and `-`")
)
_INGRESS_CLASS_RULES = ruled(
    _matching(
        _DNS_SUBDOMAIN,
        "must be the name of an IngressClass: lower-case letters, digits, `-` and `.`",
    )
)
_CONFIG_MAP_RULES = ruled(
    _matching(
        _DNS_SUBDOMAIN,
        "must be the name of a ConfigMap: lower-case letters, digits, `-` and `.`",
    )
)
_CONTAINER_RULES = ruled(
    _matching(_DNS_LABEL, "must be the name of a container: lower-case letters, digits and `-`")
)
_WORKLOAD_RULES = ruled(
    _matching(
        _DNS_SUBDOMAIN,
        "must be the name of a Deployment or StatefulSet: lower-case letters, digits, `-` and `.`",
    )
)
_CLIENT_RULES = ruled(
    _matching(_DNS_LABEL, "must be a name of your choice: lower-case letters, digits and `-`")
)
_ENTRY_POINT_RULES = ruled(
    _matching(
        r"[A-Za-z0-9]([-A-Za-z0-9_]*[A-Za-z0-9])?",
        "must be the name of a Traefik entryPoint: letters, digits, `-` and `_`",
    )
)
_LABEL_VALUE_RULES = ruled(
    _matching(
        rf"{_LABEL_NAME}?",
        "must be a label value: at most 63 letters, digits, `-`, `_` and `.`, beginning and"
        " ending with a letter or digit",
    )
)
_LABEL_KEYS_RULES = ruled(
    Rule(
        f"self.all(key, key.size() <= 127 && key.matches('^{LABEL_KEY.pattern}$'))".replace(
            "\\", "\\\\"
        ),
        "must have label keys such as `app.kubernetes.io/name`, at most 127 characters each and at"
        " most 63 behind the `/`",
        lambda labels: all(len(k) <= 127 and LABEL_KEY.fullmatch(k) for k in labels),
    )
)

Hostname = Annotated[str, Field(min_length=1, max_length=253), *_HOSTNAME_RULES]
NamespaceName = Annotated[str, Field(min_length=1, max_length=63), *_NAMESPACE_RULES]
ServiceName = Annotated[str, Field(min_length=1, max_length=63), *_SERVICE_RULES]
IngressClassName = Annotated[str, Field(min_length=1, max_length=253), *_INGRESS_CLASS_RULES]
ConfigMapName = Annotated[str, Field(min_length=1, max_length=253), *_CONFIG_MAP_RULES]
ContainerName = Annotated[str, Field(min_length=1, max_length=63), *_CONTAINER_RULES]
WorkloadName = Annotated[str, Field(min_length=1, max_length=253), *_WORKLOAD_RULES]
ClientName = Annotated[str, Field(min_length=1, max_length=63), *_CLIENT_RULES]
EntryPointName = Annotated[str, Field(min_length=1, max_length=63), *_ENTRY_POINT_RULES]
LabelValue = Annotated[str, Field(max_length=63), *_LABEL_VALUE_RULES]


class PodSelector(ApiModel):
    """Pods by their labels; all of them must match."""

    match_labels: Annotated[
        dict[str, LabelValue],
        Field(
            min_length=1,
            max_length=8,
            description="Labels that a pod must carry, all of them, with these values. At least"
            " one: an empty selector would mean every pod of the namespace.",
        ),
        BeforeValidator(drop_nulls),
        *_LABEL_KEYS_RULES,
    ]
