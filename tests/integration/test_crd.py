"""The CRD as an API server has it: what users read of it, call it, and may write."""

import shlex
from collections.abc import Callable, Iterator

import pytest

from mailproxy.api.crd import build_crd
from mailproxy.api.mail_services import PortName
from mailproxy.cli import main as cli
from tests.controlplane.api import Api, Manifest, wait_for
from tests.controlplane.crds import OURS
from tests.controlplane.server import ControlPlane
from tests.integration.test_crd_corpus import EXAMPLES, dry_run, find_server_refusal
from tests.integration.test_crd_grammar import build_proxy

Explain = Callable[..., str]


def find_objects(path: str, schema: Manifest) -> Iterator[tuple[str, Manifest]]:
    """All objects in a schema whose fields `kubectl explain` lists, by their paths."""
    fields = schema.get("items", schema)
    if "properties" in fields:
        yield path, fields["properties"]
        for name, field in fields["properties"].items():
            yield from find_objects(f"{path}.{name}", field)


ROOT = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
OBJECTS = dict(
    found for name in ("spec", "status") for found in find_objects(f"mailproxy.{name}", ROOT[name])
)


def join_lines(text: str) -> str:
    return " ".join(text.split())


# What users read


@pytest.fixture(scope="module")
def explain(control_plane: ControlPlane) -> Explain:
    """`kubectl explain`; the API server publishes schemas some time after it serves objects."""

    def run(*arguments: str, check: bool = True) -> str:
        return control_plane.run_kubectl("explain", *arguments, check=check).stdout

    wait_for(lambda: run("mailproxy", check=False), 30, "the schema is published")
    return run


@pytest.mark.parametrize("path", OBJECTS)
def test_explain_describes_every_field(explain: Explain, path: str) -> None:
    text = join_lines(explain(path))
    assert "<no description>" not in text
    for name, field in OBJECTS[path].items():
        assert f"{name} <" in text
        assert join_lines(field["description"]) in text


@pytest.mark.parametrize("part", ["spec", "status"])
def test_explain_lists_the_whole_tree(explain: Explain, part: str) -> None:
    lines = explain(f"mailproxy.{part}", "--recursive").splitlines()
    listed = [line.split("\t<")[0].strip() for line in lines if "\t<" in line]
    expected = [name for path, fields in OBJECTS.items() for name in fields if part in path]
    assert sorted(listed) == sorted(expected)


def test_explain_says_what_to_choose_for_trust_and_what_it_risks(explain: Explain) -> None:
    text = join_lines(explain("mailproxy.spec.trust"))
    for said in [
        "Whose PROXY protocol header Dovecot believes.",
        "enum: ProxyPods, NodePodCIDRs, None",
        "every pod on those nodes can then claim any client address",
        "At most 64, none wider than /8 (IPv4) or /32 (IPv6).",
        "Left out: the live addresses of the proxy pods.",
    ]:
        assert said in text


def test_committed_file_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["crd"])
    assert capsys.readouterr().out == OURS.read_text()


# What users call it


@pytest.mark.parametrize("name", ["mxp", "mail", "mailproxy", "mailproxies.mailproxy.dev"])
def test_kubectl_accepts_the_name(
    control_plane: ControlPlane, api: Api, namespace: str, name: str
) -> None:
    manifest = build_proxy()
    manifest["metadata"]["namespace"] = namespace
    api.create(manifest)
    get = shlex.split(f"get {name} --namespace {namespace} --output name")
    assert control_plane.run_kubectl(*get).stdout == "mailproxy.mailproxy.dev/mail\n"


# What users may write


def test_kubectl_names_a_field_that_it_does_not_know(
    control_plane: ControlPlane, namespace: str
) -> None:
    example = EXAMPLES / "valid" / "smallest.yaml"
    text = example.read_text().replace("spec:\n", "spec:\n  trustedNetworks: []\n", 1)
    apply = ["apply", "--namespace", namespace, "--filename", "-"]
    answer = control_plane.run_kubectl(*apply, input=text, check=False)
    assert answer.returncode
    assert 'unknown field "spec.trustedNetworks"' in answer.stderr


def test_unknown_fields_are_pruned_at_every_depth(api: Api) -> None:
    edge = {"replicas": 3, "proxyProtocol": {"tlvs": []}}
    stored = dry_run(api, build_proxy(edge=edge, trust={"source": "None"}, mail_server={}))
    assert stored["spec"] == dry_run(api, build_proxy())["spec"]


def test_largest_spec_is_within_the_rules_cost(api: Api) -> None:
    labels = {f"{'a' * 63}.example.com/{'l' * 49}-{number}": "v" * 63 for number in range(8)}
    ports = [{"name": name, "entryPoint": name.rjust(63, "e")} for name in PortName]
    networks = [f"2001:0db8:{number:04x}:0000:0000:0000:0000:0000/128" for number in range(64)]
    proxy = build_proxy(
        "m" * 50,
        hostname=".".join(["h" * 62] * 4),
        edge={"podSelector": {"matchLabels": labels}, "ingressClassName": "c" * 253},
        ports=ports,
        mailServer={"podSelector": {"matchLabels": labels}},
        trust={"networks": networks},
    )
    assert find_server_refusal(api, proxy) == ""


def test_lists_that_a_user_applies_are_not_mixed_with_defaults(api: Api, namespace: str) -> None:
    manifest = build_proxy()
    manifest["metadata"]["namespace"] = namespace
    api.apply(manifest)
    manifest["spec"]["ports"] = [{"name": "pop3s"}]
    manifest["spec"]["trust"] = {"networks": ["192.0.2.0/24"]}
    stored = api.apply(manifest)["spec"]
    assert stored["ports"] == [{"name": "pop3s"}]
    assert stored["trust"] == {"from": "ProxyPods", "networks": ["192.0.2.0/24"]}
