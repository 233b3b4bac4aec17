"""Hypothesis strategies: any MailProxy that the CRD admits, and clusters around it.

Texts are drawn from the patterns of the CRD itself, so that what it admits is what is tested.
"""

import copy
import re
from ipaddress import ip_network
from random import Random
from typing import Any

from hypothesis import strategies as st
from tests.unit.mail_server_bodies import (
    config_map_volume,
    mail_pod_body,
    override_mount,
    workload_body,
)
from tests.unit.worlds import (
    TRAEFIK_LABELS,
    Body,
    config_map_body,
    container_body,
    endpoints_body,
    mail_proxy_body,
    node_body,
    pod_body,
    remembering,
    service_body,
    service_port,
)

from mailproxy.api.base import RULES_KEY
from mailproxy.api.crd import build_crd
from mailproxy.api.mail_services import IMPLICIT_TLS, PortName
from mailproxy.api.mailproxy import MailProxy
from mailproxy.observed.body import sorted_labels
from mailproxy.observed.selectors import PodSet, dump_pod_set
from mailproxy.plan.user_files.check import USER_FILES

_SCHEMA = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
_EDGE = _SCHEMA["properties"]["edge"]["properties"]
_TRAEFIK = _EDGE["traefik"]["properties"]
_MAIL_SERVER = _SCHEMA["properties"]["mailServer"]["properties"]
_PORT = _SCHEMA["properties"]["ports"]["items"]["properties"]
NODES = ("node-1", "node-2", "node-3")
PORTS = (25, 587, 465, 143, 993, 110, 995, 4190, 2525)


def _texts(schema: Body) -> st.SearchStrategy[str]:
    """Texts that a string field of the CRD takes."""
    rule = schema[RULES_KEY][0]["rule"]
    match = re.search(r"matches\('\^(.*)\$'\)", rule)
    assert match, rule
    longest = schema["maxLength"]
    texts = st.from_regex(match[1].replace("\\\\", "\\"), fullmatch=True)
    return texts.filter(lambda text: len(text) <= longest)


hostnames = _texts(_SCHEMA["properties"]["hostname"]).filter(lambda t: not t[-1].isdigit())
namespaces = _texts(_EDGE["namespace"])
entry_point_names = _texts(_PORT["entryPoint"])
_label_values = _texts(_EDGE["podSelector"]["properties"]["matchLabels"]["additionalProperties"])
_label_keys = st.sampled_from(["app", "app.kubernetes.io/name", "tier", "x_y.Z", "a.b-c.d/e"])
_common_values = st.sampled_from(["", "traefik", "docker-mailserver", "V1.2_x"])
selectors = st.dictionaries(
    _label_keys, st.one_of(_common_values, _common_values, _label_values), min_size=1, max_size=3
)


def _network(address: Any, length: int) -> str:
    return str(ip_network((address, length), strict=False))


networks = st.one_of(
    st.builds(_network, st.ip_addresses(v=4), st.integers(8, 32)),
    st.builds(_network, st.ip_addresses(v=6), st.integers(32, 128)),
).filter(lambda text: not text.startswith("::"))


@st.composite
def mail_proxy_bodies(draw: st.DrawFn) -> Body:
    """A MailProxy as a user may write it, whole."""
    is_traefik = draw(st.booleans())
    spec: Body = {
        "hostname": draw(hostnames),
        "edge": draw(_traefiks() if is_traefik else _generics()),
        "listeners": draw(st.sampled_from(["Separate", "Shared"])),
        "networkPolicy": draw(st.sampled_from(["Enabled", "Disabled"])),
        "mailServer": {"podSelector": {"matchLabels": draw(selectors)}},
        "trust": draw(_trusts()),
    }
    if draw(st.booleans()):
        spec["mailServer"] |= draw(_workloads)
    if draw(st.booleans()):
        spec["mailServer"]["overridesFrom"] = draw(_texts(_MAIL_SERVER["overridesFrom"]))
    if draw(st.booleans()):
        spec["ports"] = draw(_ports(is_traefik))
    name = draw(st.sampled_from(["mail", "m", "x" * 50]))
    return mail_proxy_body(name, draw(namespaces), **spec)


@st.composite
def _traefiks(draw: st.DrawFn) -> Body:
    edge = draw(_generics()) | {"type": "Traefik"}
    if draw(st.booleans()):
        field = draw(st.sampled_from(["Service", "ServersTransport"]))
        edge["traefik"] = {"proxyProtocolField": field}
        if draw(st.booleans()):
            ingress_class = draw(_texts(_TRAEFIK["ingressClassName"]))
            edge["traefik"]["ingressClassName"] = ingress_class
    return edge


@st.composite
def _generics(draw: st.DrawFn) -> Body:
    edge: Body = {"type": "Generic", "namespace": draw(st.sampled_from(["traefik", "e", "x" * 63]))}
    by = draw(st.sampled_from(["Service", "labels", "both"]))
    if by != "labels":
        edge["serviceName"] = draw(st.sampled_from(["traefik", "0", "haproxy-edge"]))
    if by != "Service":
        edge["podSelector"] = {"matchLabels": draw(selectors)}
    if draw(st.booleans()):
        edge["proxyProtocol"] = {"version": draw(st.sampled_from([1, 2]))}
    return edge


@st.composite
def _trusts(draw: st.DrawFn) -> Body:
    source = draw(st.sampled_from(["ProxyPods", "NodePodCIDRs", "None"]))
    chosen = draw(st.lists(networks, min_size=int(source == "None"), max_size=3, unique=True))
    return {"from": source, "networks": chosen}


@st.composite
def _ports(draw: st.DrawFn, is_traefik: bool) -> list[Body]:
    names = draw(st.lists(st.sampled_from(PortName), min_size=1, max_size=8, unique=True))
    ports: list[Body] = [{"name": str(name)} for name in names]
    if is_traefik:
        for port in ports:
            if draw(st.booleans()):
                hows = ["Any", "Hostname"] if port["name"] in IMPLICIT_TLS else ["Any"]
                port["sni"] = draw(st.sampled_from(hows))
        named = draw(st.lists(entry_point_names, max_size=2, unique=True))
        for port, entry_point in zip(ports, named, strict=False):
            port["entryPoint"] = entry_point
    return ports


mail_proxies = mail_proxy_bodies().map(MailProxy.model_validate)

_addresses = st.lists(
    st.one_of(
        st.integers(0, 9).map(lambda n: f"10.244.1.{n}"),
        st.integers(1, 9).map(lambda n: f"fd00::{n}"),
        st.sampled_from(["127.0.0.1", "fe80::1%eth0", "rubbish", "::ffff:10.9.9.9"]),
    ),
    max_size=2,
)


@st.composite
def clusters(draw: st.DrawFn, body: Body) -> list[Body]:
    """Objects around a MailProxy: its edge in some state, nodes, rivals, leftovers."""
    proxy = MailProxy.model_validate(body)
    spec = proxy.spec.edge
    labels = dict(spec.pod_selector.match_labels) if spec.pod_selector else TRAEFIK_LABELS
    objects = [draw(_pods(f"pod-{n}", spec.namespace, labels)) for n in range(draw(_few))]
    objects += [
        node_body(
            name,
            draw(_addresses),
            draw(st.lists(networks | st.sampled_from(["0.0.0.0/0", ""]), max_size=2)),
        )
        for name in NODES
        if draw(st.booleans())
    ]
    if spec.service_name and draw(st.booleans()):
        ports = [service_port(n, draw(st.sampled_from(PORTS))) for n in draw(_some_ports)]
        objects.append(service_body(spec.service_name, spec.namespace, ports=ports))
    if draw(st.booleans()):
        memory = dump_pod_set(PodSet(spec.namespace, sorted_labels(labels)))
        objects.append(remembering(proxy, memory))
    if (own := proxy.spec.mail_server.overrides_from) and draw(st.booleans()):
        objects.append(config_map_body(own, proxy.namespace, data=draw(_user_files)))
    if draw(st.booleans()):
        objects.append(endpoints_body(proxy.name, proxy.namespace, ready=draw(st.booleans())))
    for number in range(draw(_few)):
        objects.append(draw(_mail_pods(f"mail-{number}", proxy)))
    if ref := proxy.spec.mail_server.workload_ref:
        objects.append(workload_body(ref.name, ref.kind) | {"kind": str(ref.kind)})
    for number in range(draw(_few)):
        rival = copy.deepcopy(draw(st.sampled_from([body, mail_proxy_body()])))
        rival["metadata"] |= {"name": f"rival-{number}", "uid": f"rival-{number}"}
        rival["metadata"]["namespace"] = draw(st.sampled_from([proxy.namespace, "rivals"]))
        rival["metadata"]["creationTimestamp"] = f"2026-0{draw(st.integers(6, 7))}-01T10:00:00Z"
        objects.append(rival)
    return objects


_few = st.integers(0, 3)
_workloads = st.fixed_dictionaries(
    {
        "workloadRef": st.fixed_dictionaries(
            {"name": st.just("dms"), "kind": st.sampled_from(["Deployment", "StatefulSet"])}
        ),
        "wiring": st.sampled_from(["Manual", "Inject"]),
        "trustUpdate": st.sampled_from(["Reload", "Restart", "Manual"]),
    }
)
_sub_paths = st.sampled_from(["", "dovecot.cf", "user-patches.sh", "x"])


@st.composite
def _mail_pods(draw: st.DrawFn, name: str, proxy: MailProxy) -> Body:
    """A pod of the mail server that mounts this and that."""
    places = st.sampled_from(["dovecot.cf", "user-patches.sh", "", "../../etc/mailproxy/trust"])
    mounts = [
        override_mount(place, name=draw(st.sampled_from(["overrides", "trust", "own"])))
        | {"subPath": draw(_sub_paths)}
        for place in draw(st.lists(places, unique=True))
    ]
    volumes = [config_map_volume(suffix) for suffix in ("overrides", "trust")]
    names = st.sampled_from(["POSTFIX_INET_PROTOCOLS", "PERMIT_DOCKER", "X"])
    values = st.sampled_from(["ipv4", "all", "none", "host", "x"])
    return mail_pod_body(
        name,
        mounts=mounts,
        volumes=volumes[: draw(_few)],
        env=draw(st.dictionaries(names, values)),
        namespace=proxy.namespace,
        labels=dict(proxy.spec.mail_server.pod_selector.match_labels),
        phase=draw(st.sampled_from(["Running", "Pending", "Failed"])),
    )


_user_files = st.dictionaries(
    st.sampled_from([*USER_FILES, "dovecot.conf"]),
    st.sampled_from(["", "a = b\n", "a/inet/b=c", "}\n", "exit 1\n", "\r\n"]),
)
_some_ports = st.lists(st.sampled_from(PORTS), unique=True, max_size=3)


@st.composite
def _pods(draw: st.DrawFn, name: str, namespace: str, labels: dict[str, str]) -> Body:
    named = draw(st.lists(st.sampled_from(["mail-smtp", "imap", "x"]), max_size=2, unique=True))
    numbers = draw(st.lists(st.sampled_from(PORTS), min_size=2, max_size=2, unique=True))
    flags = [f"--entrypoints.{n}.address=:{p}" for n, p in zip(named, numbers, strict=False)]
    host_ports = [{"containerPort": p, "hostPort": draw(st.sampled_from(PORTS))} for p in numbers]
    image = draw(st.sampled_from(["traefik:v3.7.9", "traefik:v3.5.2", "haproxy:3.2"]))
    return pod_body(
        name,
        draw(_addresses),
        namespace=namespace,
        labels=labels | draw(st.sampled_from([{}, {"extra": "x"}])),
        node=draw(st.sampled_from([*NODES, ""])),
        phase=draw(st.sampled_from(["Running", "Pending", "Failed", "Succeeded"])),
        host_network=draw(st.booleans()),
        containers=[container_body(image, flags, ports=host_ports[: draw(st.integers(0, 1))])],
    )


_UNORDERED = {"podIPs", "addresses", "podCIDRs", "networks"}  # sets, whatever the API calls them


def shuffle(value: Any, random: Random) -> Any:
    """The same object with its keys and its unordered lists in another order, some items twice."""
    if isinstance(value, dict):
        items = [(key, shuffle(item, random)) for key, item in value.items()]
        random.shuffle(items)
        mixed = dict(items)
        for key in _UNORDERED & mixed.keys():
            if isinstance(mixed[key], list):
                again = random.sample(mixed[key], len(mixed[key]) // 2)
                if key == "networks":  # a set of texts: one network twice has two spellings
                    again = [text.upper() for text in again if text.upper() != text]
                mixed[key] = [*mixed[key], *again]
                random.shuffle(mixed[key])
        if isinstance(mixed.get("ports"), list):
            random.shuffle(mixed["ports"])
        return mixed
    return [shuffle(item, random) for item in value] if isinstance(value, list) else value
