"""Trust follows the edge's pods exactly and at once, however they change."""

import random

import pytest

from tests.controlplane.api import wait_for
from tests.controlplane.edge import create_mail_pod, set_pod_status
from tests.integration.scene import NODE, SETTLE_SECONDS, Scene


def test_a_pod_is_trusted_before_it_is_ready(scene: Scene) -> None:
    scene.add_all()
    scene.add_proxy_pod("traefik-9", "10.1.0.9", "fd00::9", ready=False)
    scene.wait_for_trust("10.1.0.1", "10.1.0.2", "10.1.0.9", "fd00::9")


def test_finished_pod_is_not_trusted_although_it_still_exists(scene: Scene) -> None:
    scene.add_all()
    set_pod_status(
        scene.api, "traefik-1", ["10.1.0.2"], namespace=scene.edge, ready=False, phase="Succeeded"
    )
    scene.wait_for_trust("10.1.0.1")
    set_pod_status(
        scene.api, "traefik-0", ["10.1.0.1"], namespace=scene.edge, ready=False, phase="Failed"
    )
    scene.wait_for_trust()
    scene.wait_for_condition("TrustReady", "False", "NoProxyPods")


def test_a_terminating_pod_stays_trusted_until_it_is_gone(scene: Scene) -> None:
    scene.add_all()
    scene.api.delete("Pod", "traefik-1", scene.edge, grace_seconds=60)
    scene.add_proxy_pod("traefik-2", "10.1.0.3")
    scene.wait_for_trust("10.1.0.1", "10.1.0.2", "10.1.0.3")
    scene.remove_proxy_pod("traefik-1")
    scene.wait_for_trust("10.1.0.1", "10.1.0.3")


def test_pod_with_a_new_sandbox_is_trusted_by_its_new_address_only(scene: Scene) -> None:
    scene.add_all()
    set_pod_status(scene.api, "traefik-1", ["10.1.0.77"], namespace=scene.edge)
    scene.wait_for_trust("10.1.0.1", "10.1.0.77")


def test_pod_without_the_label_is_no_longer_trusted(scene: Scene) -> None:
    scene.add_all()
    labels = {"metadata": {"labels": {"app.kubernetes.io/name": "somebody-else"}}}
    scene.api.merge_patch("Pod", "traefik-1", labels, scene.edge)
    scene.wait_for_trust("10.1.0.1")


def test_internal_clients_are_followed_too(scene: Scene) -> None:
    labels = {"app": "webmail"}
    webmail = {
        "name": "webmail",
        "podSelector": {"matchLabels": labels},
        "forwardsClientIP": True,
    }
    scene.add_all(internalClients=[webmail])
    place = {"namespace": scene.mail, "labels": labels}
    create_mail_pod(scene.api, "webmail-0", ["10.1.5.1"], NODE, **place)
    wait_for_clients(scene, ["10.1.5.1"])
    create_mail_pod(scene.api, "webmail-1", ["10.1.5.2"], NODE, **place)
    wait_for_clients(scene, ["10.1.5.1", "10.1.5.2"])
    scene.api.delete("Pod", "webmail-0", scene.mail, grace_seconds=0)
    wait_for_clients(scene, ["10.1.5.2"])
    # They are no proxies: their PROXY headers are refused.
    assert scene.trusted() == ["10.1.0.1", "10.1.0.2"]


def wait_for_clients(scene: Scene, addresses: list[str]) -> None:
    """Wait until Dovecot and Fail2ban get exactly these."""

    def read() -> tuple[list[str], list[str]]:
        data = scene.api.get("ConfigMap", "mail-trust", scene.mail)["data"]
        return scene.trust_settings()["login_trusted_networks"], data["internal-clients"].split()

    wait_for(lambda: read() == (addresses, addresses), SETTLE_SECONDS, read)


def test_no_pod_means_an_empty_list_and_routes_that_stay(scene: Scene) -> None:
    scene.add_all()
    scene.remove_proxy_pod("traefik-0")
    scene.remove_proxy_pod("traefik-1")
    scene.wait_for_trust()
    found = scene.wait_for_condition("Ready", "False", "NoProxyPods")
    assert scene.edge in found["message"]
    assert ("IngressRouteTCP", "mail-smtp") in scene.children()
    scene.add_proxy_pod("traefik-5", "10.1.0.5")
    scene.wait_for_trust("10.1.0.5")
    scene.wait_for_condition("Ready", "True")


def test_pods_of_a_host_network_bring_their_nodes_addresses(scene: Scene) -> None:
    scene.add_edge()
    scene.add_mail_server()
    scene.add_proxy_pod("traefik-0", "192.0.2.11", host_network=True)
    scene.apply()
    scene.wait_for_trust("192.0.2.11", "2001:db8::11")
    found = scene.wait_for_condition("TrustReady", "True", "HostNetwork")
    assert NODE in found["message"]


def test_a_misspelt_service_keeps_what_works_and_follows_the_old_pods(scene: Scene) -> None:
    scene.add_all()
    routes = {k: v for k, v in scene.versions().items() if k[0] != "ConfigMap"}
    scene.apply(edge={"serviceName": "traefic"})
    found = scene.wait_for_condition("EdgeDiscovered", "False", "ServiceNotFound")
    assert f"{scene.edge}/traefic" in found["message"]
    assert "spec.edge.serviceName" in found["message"]
    assert scene.trusted() == ["10.1.0.1", "10.1.0.2"]
    scene.remove_proxy_pod("traefik-1")
    scene.wait_for_trust("10.1.0.1")  # the pod is gone, and so is its address
    assert {k: v for k, v in scene.versions().items() if k[0] != "ConfigMap"} == routes
    scene.apply()
    scene.wait_for_condition("Ready", "True")


def test_missing_edge_trusts_nobody_and_is_found_when_it_is_created(scene: Scene) -> None:
    scene.add_mail_server()
    scene.apply()
    scene.wait_for_condition("Ready", "False", "ServiceNotFound")
    assert scene.trusted() == []
    scene.add_edge("10.1.0.1")
    scene.wait_for_condition("Ready", "True")
    assert scene.trusted() == ["10.1.0.1"]


def test_an_edge_found_by_labels_needs_no_service(scene: Scene) -> None:
    labels = {"app.kubernetes.io/name": "traefik"}
    scene.add_proxy_pod("traefik-0", "10.1.0.1")
    scene.add_mail_server()
    scene.apply(edge={"podSelector": {"matchLabels": labels}})
    scene.wait_for_trust("10.1.0.1")
    scene.wait_for_condition("EdgeDiscovered", "True")


def test_a_generic_edge_has_trust_and_policy_but_no_routes(scene: Scene) -> None:
    scene.add_edge("10.1.0.1")
    scene.add_mail_server()
    scene.apply(edge={"type": "Generic", "serviceName": "traefik"})
    scene.wait_for_condition("Ready", "True")
    assert scene.trusted() == ["10.1.0.1"]
    assert {kind for kind, _ in scene.children()} == {"ConfigMap", "NetworkPolicy", "Service"}


def test_each_change_of_trust_is_one_event(scene: Scene) -> None:
    scene.add_all()
    scene.remove_proxy_pod("traefik-1")
    scene.wait_for_trust("10.1.0.1")

    def notes() -> list[str]:
        events = scene.api.list("Event", scene.mail)
        return sorted(e["note"] for e in events if e["reason"] == "TrustChanged")

    expected = ["no longer trusted: 10.1.0.2/32", "now trusted: 10.1.0.1/32, 10.1.0.2/32"]
    wait_for(lambda: notes() == expected, SETTLE_SECONDS, notes)


@pytest.mark.parametrize("seed", range(3))
def test_after_any_churn_exactly_the_live_pods_are_trusted(scene: Scene, seed: int) -> None:
    chance = random.Random(seed)
    scene.add_all()
    live = {"traefik-0": "10.1.0.1", "traefik-1": "10.1.0.2"}
    for step in range(30):
        name = chance.choice(sorted(live)) if live else ""
        action = chance.choice(("add", "remove", "move", "finish")) if live else "add"
        address = f"10.2.{seed}.{step + 1}"
        if action == "add":
            live[f"pod-{step}"] = address
            scene.add_proxy_pod(f"pod-{step}", address, ready=chance.random() < 0.5)
        elif action == "remove":
            del live[name]
            scene.remove_proxy_pod(name)
        else:
            phase = "Running" if action == "move" else "Succeeded"
            set_pod_status(scene.api, name, [address], namespace=scene.edge, phase=phase)
            live[name] = address
            if action == "finish":
                del live[name]
    scene.wait_for_trust(*live.values())
