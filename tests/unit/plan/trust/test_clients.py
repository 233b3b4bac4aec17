"""Internal clients: their live addresses go where Fail2ban and Dovecot find them, and no others."""

from ipaddress import ip_network
from typing import Any

import pytest
from tests.unit.worlds import (
    Body,
    condition,
    config_map_body,
    judge,
    mail_proxy,
    observe,
    pod_body,
    service_body,
)

from mailproxy.api.mail_services import MAIL_SERVICES
from mailproxy.api.mailproxy import MailProxy
from mailproxy.plan.build import build_plan
from mailproxy.plan.mail_server.overrides import render_overrides
from mailproxy.plan.trust.clients import Clients, find_clients
from mailproxy.plan.trust.files import CLIENTS_FILE, TRUST_FILE, render_trust
from mailproxy.plan.user_files.check import check_user_files

WEBMAIL = {"app": "webmail"}
FETCHMAIL = {"app": "fetchmail"}
EDGE = (service_body(), pod_body("traefik-0", ["10.244.1.2"]))


def client(name: str = "webmail", labels: Body = WEBMAIL, **content: Any) -> Body:
    return {"name": name, "podSelector": {"matchLabels": labels}} | content


def client_pod(name: str, ip: str, labels: Body = WEBMAIL, **content: Any) -> Body:
    return pod_body(name, [ip], labels=labels, **({"namespace": "mail"} | content))


def read_trust(proxy: MailProxy, *objects: Body) -> dict[str, str]:
    """Files of the `-trust` ConfigMap in a cluster with the edge and these objects."""
    plan = build_plan(proxy, observe(proxy, [*EDGE, *objects]))
    files: dict[str, str] = plan.children[0]["data"]
    return files


def test_without_clients_there_is_the_list_of_proxies_alone() -> None:
    files = read_trust(mail_proxy(), client_pod("webmail-0", "10.244.5.1"))
    assert files == {TRUST_FILE: "haproxy_trusted_networks = 10.244.1.2\n"}


def test_addresses_of_all_clients_are_in_one_line() -> None:
    proxy = mail_proxy(
        internalClients=[client(namespace="web"), client("fetchmail", labels=FETCHMAIL)]
    )
    files = read_trust(
        proxy,
        client_pod("webmail-1", "10.244.5.2", namespace="web"),
        client_pod("webmail-0", "10.244.5.1", namespace="web"),
        client_pod("fetchmail-0", "10.244.4.9", FETCHMAIL),
        client_pod("stranger", "10.244.6.6", namespace="elsewhere"),
    )
    assert files == {
        TRUST_FILE: "haproxy_trusted_networks = 10.244.1.2\n",
        CLIENTS_FILE: "10.244.4.9 10.244.5.1 10.244.5.2\n",
    }


def test_only_clients_that_forward_addresses_are_trusted_by_dovecot() -> None:
    proxy = mail_proxy(
        internalClients=[client(forwardsClientIP=True), client("fetchmail", labels=FETCHMAIL)]
    )
    files = read_trust(
        proxy,
        client_pod("webmail-0", "10.244.5.1"),
        client_pod("fetchmail-0", "10.244.4.9", FETCHMAIL),
    )
    assert files[TRUST_FILE].splitlines() == [
        "haproxy_trusted_networks = 10.244.1.2",
        "login_trusted_networks = 10.244.5.1",
    ]
    assert files[CLIENTS_FILE] == "10.244.4.9 10.244.5.1\n"


def test_an_internal_client_is_never_trusted_like_a_proxy() -> None:
    proxy = mail_proxy(internalClients=[client(forwardsClientIP=True)])
    plan = build_plan(proxy, observe(proxy, [*EDGE, client_pod("webmail-0", "10.244.5.1")]))
    assert plan.trust.networks == (ip_network("10.244.1.2"),)


@pytest.mark.parametrize("content", [{"phase": "Failed"}, {"host_network": True}])
def test_a_pod_that_ended_or_is_its_node_does_not_count(content: Body) -> None:
    proxy = mail_proxy(internalClients=[client(forwardsClientIP=True)])
    files = read_trust(proxy, client_pod("webmail-0", "10.244.5.1", **content))
    assert files == {
        TRUST_FILE: "haproxy_trusted_networks = 10.244.1.2\nlogin_trusted_networks =\n",
        CLIENTS_FILE: "\n",
    }


def test_too_many_clients_count_as_none_and_the_condition_says_so() -> None:
    proxy = mail_proxy(internalClients=[client(forwardsClientIP=True)])
    pods = [client_pod(f"w-{n}", f"10.99.{n // 250}.{1 + n % 250}") for n in range(2001)]
    world = observe(proxy, [*EDGE, *pods])
    assert find_clients(proxy.spec.internal_clients, world.client_pods) == Clients((), (), 2001)
    found = condition(judge(proxy, world), "TrustReady")
    assert (found["status"], found["reason"]) == ("False", "TooManyAddresses")
    assert "`spec.internalClients`" in found["message"]
    assert "2001" in found["message"]


def test_order_of_pods_does_not_matter() -> None:
    networks = tuple(map(ip_network, ("10.0.0.2", "10.0.0.1", "fd00::1")))
    one = Clients(networks, networks[:2])
    other = Clients(networks[::-1], networks[1::-1])
    assert render_trust(networks, one) == render_trust(networks, other)


@pytest.mark.parametrize("forwards", [True, False])
def test_own_setting_of_the_user_is_refused_only_where_ours_would_replace_it(
    forwards: bool,
) -> None:
    proxy = mail_proxy(
        mailServer={
            "podSelector": {"matchLabels": {"app": "mail"}},
            "overridesFrom": "own",
        },
        internalClients=[client(forwardsClientIP=forwards)],
    )
    own = config_map_body("own", data={"dovecot.cf": "login_trusted_networks = 10.1.2.3\n"})
    ours = render_overrides(proxy.spec.listeners, MAIL_SERVICES)
    finding = check_user_files(proxy, observe(proxy, [own]), ours)
    assert bool(finding) == forwards
    if finding:
        assert "dovecot.cf line 1" in finding.message
        assert "`spec.internalClients`" in finding.message
