"""The models and the CRD made from them, as far as no API server is needed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest
from pydantic import ValidationError

from mailproxy.api.base import RULES_KEY
from mailproxy.api.crd import build_crd
from mailproxy.api.edge import EdgeSpec, ProxyProtocolField, TraefikSpec
from mailproxy.api.mail_services import PortName
from mailproxy.api.mailproxy import MailProxy, describe_errors
from mailproxy.api.spec import MailProxySpec, TrustSpec
from mailproxy.api.status import MailProxyStatus

Schema = dict[str, Any]

LABELS = {"matchLabels": {"app": "mailserver"}}
# What Kubernetes 1.31 has, the oldest that we support: no `format`, no two-variable macros.
KNOWN_TO_CEL = {
    *("has", "all", "filter", "size", "matches"),
    *("isIP", "isCIDR", "cidr", "ip", "family", "masked", "prefixLength"),
}


def build_spec(**spec: Any) -> dict[str, Any]:
    return {"hostname": "mail.example.com", "mailServer": {"podSelector": LABELS}} | spec


def parse(name: str = "mail", **spec: Any) -> MailProxy:
    metadata = {"name": name, "namespace": "mail", "uid": "1"}
    return MailProxy.model_validate({"metadata": metadata, "spec": build_spec(**spec)})


def refuse(**spec: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        parse(**spec)
    return describe_errors(refused.value)


# What a refusal says


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"hostname": None}, "spec.hostname"),
        ({"hostname": "MAIL"}, "spec.hostname"),
        ({"name": "1st"}, "metadata.name"),
        ({"suspend": "true"}, "spec.suspend"),
        ({"mailServer": {}}, "spec.mailServer.podSelector"),
        ({"ports": ["smtp"]}, "spec.ports[0]"),
        ({"ports": [{"name": "imap"}, {"name": "imap"}]}, "spec.ports[1]"),
        (
            {"ports": [{"name": "imap"}, {"name": "smtp", "entryPoint": ""}]},
            "spec.ports[1].entryPoint",
        ),
        ({"ports": [{"name": "imaps"}, {"name": "imap", "sni": "Hostname"}]}, "spec.ports[1].sni"),
        ({"edge": {"type": "Generic"}}, "spec.edge"),
        (
            {"edge": {"type": "Generic", "serviceName": "a", "traefik": {}}},
            "spec.edge.traefik",
        ),
        (
            {"edge": {"traefik": {"ingressClassName": "In Upper Case"}}},
            "spec.edge.traefik.ingressClassName",
        ),
        ({"trust": {"from": "None"}}, "spec.trust.networks"),
        ({"trust": {"networks": ["192.0.2.0/24", "192.0.2.1"]}}, "spec.trust.networks[1]"),
        ({"trust": {"networks": [1]}}, "spec.trust.networks[0]"),
        ({"trust": {"networks": [{}, {}]}}, "spec.trust.networks[0]"),
        ({"trust": {"networks": ["192.0.2.1/32", "192.0.2.1/32"]}}, "spec.trust.networks[1]"),
        ({"trust": {"networks": [1, "192.0.2.1/32", "192.0.2.1/32"]}}, "spec.trust.networks[2]"),
        (
            {"mailServer": {"podSelector": {"matchLabels": {"a.b/c": 1}}}},
            "spec.mailServer.podSelector.matchLabels.a.b/c",
        ),
    ],
)
def test_refusal_begins_with_the_field(spec: dict[str, Any], field: str) -> None:
    assert refuse(**spec).startswith(f"{field}: ")


def test_refusal_names_all_fields_in_one_line() -> None:
    text = refuse(hostname="MAIL", trust={"networks": ["192.0.2.1", "192.0.2.0/33"]})
    assert "\n" not in text
    for field in ["spec.hostname: ", "spec.trust.networks[0]: ", "; spec.trust.networks[1]: "]:
        assert field in text


def test_refusal_does_not_repeat_what_was_written() -> None:
    assert "secret" not in refuse(hostname="my secret", trust={"networks": ["secret/24"]})
    assert "secret" not in refuse(trust={"networks": ["secret/24", "secret/24"]})


# What a spec means


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        ({}, "traefik"),
        ({"serviceName": "traefik-mail"}, "traefik-mail"),
        ({"podSelector": LABELS}, None),
        ({"serviceName": "traefik-mail", "podSelector": LABELS}, "traefik-mail"),
    ],
)
def test_service_is_traefik_unless_another_or_labels_are_given(
    edge: dict[str, Any], expected: str | None
) -> None:
    assert EdgeSpec.model_validate(edge).resolved_service_name == expected


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        ({}, TraefikSpec()),
        ({"traefik": {}}, TraefikSpec()),
        ({"type": "Generic", "serviceName": "haproxy"}, TraefikSpec()),
        (
            {"traefik": {"ingressClassName": "mail", "proxyProtocolField": "ServersTransport"}},
            TraefikSpec(
                ingress_class_name="mail",
                proxy_protocol_field=ProxyProtocolField.SERVERS_TRANSPORT,
            ),
        ),
    ],
)
def test_fields_of_an_edge_type_are_its_members_or_their_defaults(
    edge: dict[str, Any], expected: TraefikSpec
) -> None:
    assert EdgeSpec.model_validate(edge).fields(TraefikSpec) == expected


@pytest.mark.parametrize("order", list(permutations(["imaps", "smtp", "sieve"])))
def test_order_of_ports_does_not_matter(order: tuple[str, ...]) -> None:
    spec = parse(ports=[{"name": name} for name in order]).spec
    assert list(spec.ports_by_name) == [PortName.SMTP, PortName.IMAPS, PortName.SIEVE]


def test_port_is_found_with_what_was_asked_of_it() -> None:
    spec = parse(ports=[{"name": "imaps", "sni": "Hostname"}, {"name": "smtp"}]).spec
    assert [port.by_hostname for port in spec.ports_by_name.values()] == [False, True]


def test_null_counts_as_absent() -> None:
    blank = {"edge": None, "ports": None, "trust": {"from": None, "networks": None}}
    ports = [{"name": "smtp", "entryPoint": None, "sni": None}]
    assert parse(**blank).spec == parse().spec
    assert parse(ports=ports).spec == parse(ports=[{"name": "smtp"}]).spec


def test_fields_are_read_by_the_names_that_users_write_and_no_others() -> None:
    assert parse(trust={"source": "None"}, network_policy="Disabled").spec == parse().spec
    with pytest.raises(ValidationError):
        MailProxySpec.model_validate({"hostname": "mail.example.com", "mail_server": LABELS})


def test_nobody_can_change_a_spec() -> None:
    proxy = parse()
    for model, field in [(proxy, "spec"), (proxy.spec, "suspend"), (proxy.spec.trust, "source")]:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, field, None)


def test_defaults_are_not_shared_between_specs() -> None:
    first, second = TrustSpec(), TrustSpec()
    first.networks.clear()
    first.networks.extend(parse(trust={"networks": ["192.0.2.0/24"]}).spec.trust.networks)
    assert second.networks == []


# The CRD


def find_schemas(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every schema in a schema, by its path: `spec.ports[].name`, `...matchLabels.*`."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from find_schemas(field, f"{path}.{name}")
    if "items" in schema:
        yield from find_schemas(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from find_schemas(schema["additionalProperties"], f"{path}.*")


ROOT = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SCHEMAS = dict(
    found for part in ("spec", "status") for found in find_schemas(ROOT["properties"][part], part)
)
RULES = [(path, rule) for path, schema in SCHEMAS.items() for rule in schema.get(RULES_KEY, [])]
NAMED = [path for path in SCHEMAS if path[-1] not in "]*"]
OPTIONAL = [
    path
    for path in NAMED
    for parent, _, name in [path.rpartition(".")]
    if path.startswith("spec.") and name not in SCHEMAS[parent].get("required", [])
]
BOUNDS = {
    "string": {"maxLength", "enum"},
    "array": {"maxItems"},
    "object": {"properties", "maxProperties"},
}
of_schemas = pytest.mark.parametrize("path", SCHEMAS)
of_rules = pytest.mark.parametrize(("path", "rule"), RULES, ids=[path for path, _ in RULES])


def test_crd_is_the_same_in_every_process() -> None:
    program = "from mailproxy.api.crd import build_crd; print(build_crd())"
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert build_crd() == build_crd()


@pytest.mark.parametrize("path", NAMED)
def test_every_field_is_described(path: str) -> None:
    description = SCHEMAS[path]["description"]
    assert description.endswith(".")
    assert "\n" not in description


@of_schemas
def test_texts_lists_and_maps_are_bounded(path: str) -> None:
    sufficient = BOUNDS.get(SCHEMAS[path]["type"])
    assert sufficient is None or sufficient & set(SCHEMAS[path])


@of_schemas
def test_schema_is_structural_and_prunes(path: str) -> None:
    keys = set(SCHEMAS[path])
    assert not keys & {"$ref", "anyOf", "oneOf", "allOf", "title", "nullable"}
    assert "x-kubernetes-preserve-unknown-fields" not in keys
    assert not {"properties", "additionalProperties"} <= keys


@of_schemas
def test_lists_and_what_is_in_them_have_no_default(path: str) -> None:
    if "[]" in path or SCHEMAS[path]["type"] == "array":
        assert "default" not in SCHEMAS[path]
    assert "[" not in str(SCHEMAS[path].get("default"))


@pytest.mark.parametrize("path", OPTIONAL)
def test_description_says_what_an_absent_field_means(path: str) -> None:
    assert re.search(r"\. Defaults to [^.]", SCHEMAS[path]["description"])


@pytest.mark.parametrize("path", OPTIONAL)
def test_default_is_the_one_that_the_description_names(path: str) -> None:
    default = SCHEMAS[path].get("default")
    if isinstance(default, str | bool | int):
        text = str(default).lower() if isinstance(default, bool) else str(default)
        assert re.search(rf"Defaults to `?{text}`?\.$", SCHEMAS[path]["description"])


@of_rules
def test_rule_needs_no_newer_cel_than_our_oldest_kubernetes(path: str, rule: Schema) -> None:
    without_texts = re.sub(r"'(\\.|[^'\\])*'", "", rule["rule"])
    assert set(re.findall(r"(\w+)\(", without_texts)) <= KNOWN_TO_CEL
    assert not re.search(r"\.(all|exists|filter|map)\(\w+,\s*\w+,", without_texts), path
    assert ".?" not in without_texts


@of_rules
def test_rule_points_at_a_field_and_its_message_is_shown(path: str, rule: Schema) -> None:
    assert path + rule.get("fieldPath", "") in SCHEMAS
    assert rule["reason"] in {"FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired"}
    assert rule["message"]


def test_every_status_field_is_in_the_schema() -> None:
    fields = {field.alias for field in MailProxyStatus.model_fields.values()}
    assert fields == set(SCHEMAS["status"]["properties"])
