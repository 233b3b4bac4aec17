"""The CustomResourceDefinition, generated from the models: they are the only source."""

from typing import Any

from mailproxy.api.base import GROUP, KIND, PLURAL, RULES_KEY, VERSION, ApiModel, schema_rules
from mailproxy.api.mailproxy import NAME_RULE, OVERRIDES_RULE
from mailproxy.api.spec import MailProxySpec
from mailproxy.api.status import MailProxyStatus

Schema = dict[str, Any]

_DROPPED = ("title", "additionalProperties", "$defs")
_READY = '.status.conditions[?(@.type=="Ready")]'
_COLUMNS = (
    ("Ready", "string", f"{_READY}.status", 0),
    ("Status", "string", f"{_READY}.reason", 0),
    ("Edge", "string", ".status.edge", 0),
    ("Ports", "string", ".status.portsSummary", 0),
    ("Trust", "integer", ".status.trustedCount", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Version", "string", ".status.edgeVersion", 1),
    ("Message", "string", f"{_READY}.message", 1),
)


def build_crd() -> Schema:
    """Manifest of the CRD; deterministic, so that CI can compare it with the file."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
        "schema": {"openAPIV3Schema": _root_schema()},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["mxp"],
                "categories": ["mail"],
            },
            "versions": [version],
        },
    }


def _column(name: str, type_: str, json_path: str, priority: int) -> Schema:
    column = {"name": name, "type": type_, "jsonPath": json_path}
    return column | ({"priority": priority} if priority else {})


def _root_schema() -> Schema:
    return {
        "type": "object",
        "description": "A mail server behind a TCP proxy that preserves every client's address.",
        "required": ["spec"],
        **schema_rules(OVERRIDES_RULE),
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "properties": {"name": {"type": "string", **schema_rules(NAME_RULE)}},
            },
            "spec": _schema_of(MailProxySpec),
            "status": _schema_of(MailProxyStatus),
        },
    }


def _schema_of(model: type[ApiModel]) -> Schema:
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _structural(schema, schema.get("$defs", {}))


def _structural(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Turn pydantic's JSON schema into a structural one.

    CRDs know neither `$ref` nor null types nor `additionalProperties: false`; a description beside
    a reference wins over the referred one. Source: Kubernetes, "Specifying a structural schema".
    """
    if "$ref" in schema:
        referred = definitions[schema["$ref"].rsplit("/", 1)[1]]
        schema = referred | {key: value for key, value in schema.items() if key != "$ref"}
        return _structural(schema, definitions)
    if "anyOf" in schema:  # X | None: the field may be left out
        (present,) = (choice for choice in schema["anyOf"] if choice.get("type") != "null")
        rest = {k: v for k, v in schema.items() if k not in ("anyOf", "default")}
        return _structural(present | rest, definitions)
    result = {key: value for key, value in schema.items() if key not in _DROPPED}
    if "default" in result:
        # Whole, not `{}`: rules judge a default before the fields' own defaults are filled in.
        result["default"] = _default_of(result["default"])
    if result.get("type") == "object":
        _convert_object(schema, result, definitions)
    if "items" in schema:
        result["items"] = _structural(schema["items"], definitions)
        _convert_list(result)
    return result


def _default_of(value: Any) -> Any:
    """Leave out of a default what is null, and lists, which have none (see `_convert_list`)."""
    if not isinstance(value, dict):
        return value
    kept = {k: v for k, v in value.items() if v is not None and not isinstance(v, list)}
    return {key: _default_of(item) for key, item in kept.items()}


def _convert_object(schema: Schema, result: Schema, definitions: dict[str, Schema]) -> None:
    if "properties" in schema:
        result["properties"] = {
            name: _structural(value, definitions) for name, value in schema["properties"].items()
        }
    elif isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = _structural(schema["additionalProperties"], definitions)


def _convert_list(result: Schema) -> None:
    """Merge by `name` where items have one; atomic lists are replaced whole.

    No default: its items would be nobody's, and a server-side apply would keep them beside the
    user's own. The model fills it in.
    """
    result.pop("default", None)
    if "x-kubernetes-list-type" not in result:
        keyed = "name" in result["items"].get("properties", {}) and RULES_KEY in result
        result["x-kubernetes-list-type"] = "map" if keyed else "atomic"
        if keyed:
            result["x-kubernetes-list-map-keys"] = ["name"]
