"""Without a NetworkPolicy any pod reaches the PROXY ports. A forged header gives no rights.

Postfix accepts a header from anyone; servers with a wide `mynetworks` prove that this is harmless.
Dovecot accepts headers from the edge only.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from tests.cluster.scene import INSIDER, Scene
from tests.controlplane.api import wait_for
from tests.e2e import server_log
from tests.e2e.attacker import Attack
from tests.e2e.modes import MODES, SEPARATE, Mode, Scenes, chosen_modes, run_concurrently
from tests.e2e.proxy_header import Endpoint, version_2, version_2_local
from tests.e2e.reach import reach
from tests.e2e.relay_attempt import (
    FOREIGN_RECIPIENT,
    AttackingPod,
    build_attempt,
    build_dovecot_attempts,
    check_headers_are_rejected,
    describe,
    describe_all,
)
from tests.e2e.services import POSTFIX, proxy_port

LOG_SECONDS = 60.0
GREET_SECONDS = 60.0  # postscreen delays the greeting of new clients by six
NETWORK_LABELS = {"app.kubernetes.io/name": "docker-mailserver-network"}
# What mailproxy sets for mail to port 25, as `postconf -P` names it.
RESTRICTIONS = "^(12525|smtp|smtpd|smtpd-proxy)/[a-z]+/(mynetworks|smtpd_relay_restrictions)"


@dataclass(frozen=True)
class Claim:
    """A header, and the client that it names."""

    client: str
    header: bytes


def build_claim(client: str) -> Claim:
    """A v2 header that names this client."""
    own = "127.0.0.1" if "." in client else "::1"
    return Claim(client, version_2(Endpoint(client, 4000), Endpoint(own, 25)))


@pytest.fixture(scope="module", params=MODES, ids="-".join)
def forgery_mode(request: pytest.FixtureRequest) -> Mode:
    """The mode of the attacked servers."""
    mode: Mode = request.param
    return mode


@pytest.fixture(scope="module")
def untrusted_pod(forgery_mode: Mode, standard_scenes: Scenes) -> AttackingPod:
    """A pod in the mail server's namespace. PERMIT_DOCKER=host lets its address relay."""
    return add_untrusted_pod(standard_scenes.get(forgery_mode))


@pytest.fixture(scope="module")
def network_servers(
    request: pytest.FixtureRequest, standard_scenes: Scenes
) -> Iterator[dict[Mode, Future[AttackingPod]]]:
    """The untrusted pod with a second mail server, which has PERMIT_DOCKER=network."""

    @contextmanager
    def run(mode: Mode) -> Iterator[AttackingPod]:
        scene = standard_scenes.get(mode)
        env = {"PERMIT_DOCKER": "network"}
        scene.add_mail_server(name="network-server", labels=NETWORK_LABELS, env=env)
        attacker = replace(add_untrusted_pod(scene), labels=NETWORK_LABELS)
        ports = [(attacker.targets[0], proxy_port(service, scene)) for service in POSTFIX]
        wait_for(lambda: set(reach(ports).values()) == {"open"}, LOG_SECONDS, lambda: reach(ports))
        yield attacker
        scene.cluster.api.delete("Deployment", "network-server", scene.mail)

    with run_concurrently(chosen_modes(request, "forgery_mode"), run) as servers:
        yield servers


@pytest.fixture(scope="module")
def network_server(
    forgery_mode: Mode, network_servers: dict[Mode, Future[AttackingPod]]
) -> AttackingPod:
    """The second mail server of a mode."""
    return network_servers[forgery_mode].result()


@pytest.fixture(scope="module")
def forgeries(
    request: pytest.FixtureRequest,
    standard_scenes: Scenes,
    network_servers: dict[Mode, Future[AttackingPod]],
) -> Iterator[dict[Mode, Future[None]]]:
    """Forged clients against both servers of a mode, concurrently, as most of it is waiting."""

    @contextmanager
    def run(mode: Mode) -> Iterator[None]:
        untrusted_pod = add_untrusted_pod(standard_scenes.get(mode))
        claims = build_claims(untrusted_pod)
        with ThreadPoolExecutor() as pool:
            both = untrusted_pod, network_servers[mode].result()
            list(pool.map(lambda attacker: check_forgeries_are_rejected(attacker, claims), both))
        yield

    with run_concurrently(chosen_modes(request, "forgery_mode"), run) as forgeries:
        yield forgeries


def test_forged_client_relays_nothing(
    forgery_mode: Mode, forgeries: dict[Mode, Future[None]]
) -> None:
    """The claimed clients may relay by PERMIT_DOCKER=host, or by PERMIT_DOCKER=network."""
    forgeries[forgery_mode].result()


@pytest.mark.parametrize("forgery_mode", SEPARATE, indirect=True, ids="-".join)
def test_plain_port_25_keeps_the_relay_rights_of_mynetworks(untrusted_pod: AttackingPod) -> None:
    plain = build_attempt(
        POSTFIX[0], untrusted_pod.targets[0], 25, b"", recipient=f"plain-{FOREIGN_RECIPIENT}"
    )
    [outcome] = untrusted_pod.run_attacks([plain], patience=GREET_SECONDS)
    assert outcome.succeeded, f"refused: {describe(outcome)}"
    wait_for_sent(untrusted_pod, f"plain-{FOREIGN_RECIPIENT}")


def test_without_our_restrictions_the_same_header_relays(network_server: AttackingPod) -> None:
    """The attacks are real: nothing else in the server stops them."""
    recipient = f"unrestricted-{FOREIGN_RECIPIENT}"
    forged = build_claim("172.16.5.5")
    port = proxy_port(POSTFIX[0], network_server.scene)
    attack = build_attempt(
        POSTFIX[0], network_server.targets[0], port, forged.header, "", recipient
    )
    keep = "cp /etc/postfix/master.cf /tmp/master.cf"
    remove = f"postconf -PX $(postconf -P | grep -oE '{RESTRICTIONS}'); postfix reload"
    network_server.run_in_mail_server("bash", "-c", f"{keep}; {remove}")
    try:
        [outcome] = network_server.run_attacks([attack], patience=GREET_SECONDS)
        assert outcome.succeeded, f"refused: {describe(outcome)}"
        wait_for_sent(network_server, recipient)
    finally:
        restore = "cp /tmp/master.cf /etc/postfix/master.cf; postfix reload"
        network_server.run_in_mail_server("bash", "-c", restore)


def test_dovecot_closes_connections_of_a_pod_outside_the_edge_at_once(
    untrusted_pod: AttackingPod,
) -> None:
    """Even if the header names an address of the edge."""
    check_headers_are_rejected(untrusted_pod)


def test_dovecot_accepts_the_same_headers_from_a_pod_of_the_edge(
    untrusted_pod: AttackingPod,
) -> None:
    insider = AttackingPod(untrusted_pod.scene, untrusted_pod.scene.edge, INSIDER)
    outcomes = insider.run_attacks(build_dovecot_attempts(insider), patience=GREET_SECONDS)
    wrong = [o for o in outcomes if not o.greeted or o.succeeded]
    assert not wrong, f"no banner, or a mailbox without a password: {describe_all(wrong)}"


def test_reset_after_local_stops_only_its_own_port(network_server: AttackingPod) -> None:
    """The worst that a pod can do without a policy: smtpd cannot find the address of its client.

    It ends (`fatal: smtpd_peer_hostaddr_to_sockaddr`), and if it had served no client before,
    Postfix starts none for that port for a minute. All other ports continue.
    """
    scene, target = network_server.scene, network_server.targets[0]
    header = version_2_local().hex()
    submission = next(s for s in POSTFIX if s.name == "submission")
    port = proxy_port(submission, scene)
    network_server.run_in_mail_server("postfix", "reload")  # so that none has served a client
    attacks = [Attack("reset", target, port, "smtp", header, reset=True) for _ in range(5)]
    network_server.run_attacks(attacks)

    others = [s for s in POSTFIX if s is not submission]
    ports = [(proxy_port(s, scene), s.implicit_tls, header) for s in others]
    if scene.listeners == "Separate":
        ports += [(s.port, s.implicit_tls, "") for s in POSTFIX]
    greetings = [Attack(f"{p}", target, p, "smtp", h, tls, ["NOOP"]) for p, tls, h in ports]
    outcomes = network_server.run_attacks(greetings, patience=GREET_SECONDS)
    silent = [o for o in outcomes if not o.greeted]
    assert not silent, f"also stopped: {describe_all(silent)}\n{crashes(network_server)}"

    network_server.run_in_mail_server("supervisorctl", "restart", "postfix")
    again = Attack("again", target, port, "smtp", header)
    wait_for(
        lambda: network_server.run_attacks([again])[0].greeted,
        LOG_SECONDS,
        lambda: f"port {port} serves again after a restart\n{crashes(network_server)}",
    )


def add_untrusted_pod(scene: Scene) -> AttackingPod:
    """In the mail server's namespace; further calls for a scene return the same one."""
    scene.add_pod(scene.mail, "evil")
    return AttackingPod(scene, scene.mail, "evil")


def build_claims(untrusted_pod: AttackingPod) -> list[Claim]:
    """Clients that may relay on one server or the other, the pod itself twice, one that may not."""
    own = untrusted_pod.addresses[0]
    claims = [*map(build_claim, ("127.0.0.1", "::1", own, "172.16.5.5", "203.0.113.77"))]
    return [*claims, Claim(own, version_2_local())]


def check_forgeries_are_rejected(attacker: AttackingPod, claims: list[Claim]) -> None:
    """Every claim on every PROXY port of Postfix is rejected, and nothing is sent."""
    known = attacker.log_size()
    target, scene = attacker.targets[0], attacker.scene
    attacks = [
        build_attempt(service, target, proxy_port(service, scene), claim.header, claim.client)
        for service in POSTFIX
        for claim in claims
    ]
    outcomes = attacker.run_attacks(attacks, patience=GREET_SECONDS)
    wrong = [o for o in outcomes if o.succeeded or not o.greeted or "\n554 " not in o.received]
    assert not wrong, f"not refused with 554: {describe_all(wrong)}"
    log = wait_for_rejections(attacker, known, claims)
    sent = [one.line for one in server_log.find_sent(log) if one.recipient == FOREIGN_RECIPIENT]
    assert not sent, sent
    queue = attacker.run_in_mail_server("mailq")
    assert f" {FOREIGN_RECIPIENT}\n" not in queue, queue


def wait_for_rejections(attacker: AttackingPod, known: int, claims: list[Claim]) -> str:
    """The log, as soon as it shows that each port has rejected each claimed client.

    It proves that Postfix used the claimed address.
    """

    def find_missing() -> list[str]:
        lines = [x for x in attacker.log(since=known).splitlines() if "reject: RCPT from" in x]
        found = {c.client: sum(f"[{c.client}]: 554 " in x for x in lines) for c in claims}
        return [client for client, count in found.items() if count < len(POSTFIX)]

    wait_for(
        lambda: not find_missing(),
        LOG_SECONDS,
        lambda: f"rejections of {find_missing()} in:\n{attacker.log(since=known)}",
        interval=0.1,
    )
    return attacker.log(since=known)


def wait_for_sent(attacker: AttackingPod, recipient: str) -> None:
    """Wait until Postfix tries to relay a message; without a relay host it keeps it queued."""
    wait_for(
        lambda: [s for s in server_log.find_sent(attacker.log()) if s.recipient == recipient],
        LOG_SECONDS,
        lambda: f"mail for {recipient} in:\n{attacker.log()[-3000:]}",
        interval=0.1,
    )


def crashes(attacker: AttackingPod) -> str:
    return "\n".join(server_log.find_crashes(attacker.log()))
