"""Without a NetworkPolicy any pod reaches the PROXY ports. A header that it forges gives no rights.

Postfix believes a header from anyone; that it does not matter is proven on servers whose
`mynetworks` is wide. Dovecot believes nobody but the edge.
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
from tests.e2e.modes import MODES, SEPARATE, Mode, Scenes, chosen_modes, side_by_side
from tests.e2e.proxy_header import Endpoint, version_2, version_2_local
from tests.e2e.reach import reach
from tests.e2e.relay_attempt import (
    VICTIM,
    Intruder,
    build_break_in,
    build_dovecot_attacks,
    describe,
    describe_all,
    prove_mistrust,
)
from tests.e2e.services import POSTFIX, proxy_port

LOG_SECONDS = 15.0
GREET_SECONDS = 10.0  # postscreen keeps those that it does not know waiting for six
NETWORK_LABELS = {"app.kubernetes.io/name": "docker-mailserver-network"}
# What mailproxy sets for the way of mail to port 25, as `postconf -P` names it.
RESTRICTIONS = "^(12525|smtp|smtpd|smtpd-proxy)/[a-z]+/(mynetworks|smtpd_relay_restrictions)"


@dataclass(frozen=True)
class Claim:
    """A header, and who is the client by it."""

    client: str
    header: bytes


def claim(client: str) -> Claim:
    """A v2 header."""
    own = "127.0.0.1" if "." in client else "::1"
    return Claim(client, version_2(Endpoint(client, 4000), Endpoint(own, 25)))


@pytest.fixture(scope="module", params=MODES, ids="-".join)
def forgery_mode(request: pytest.FixtureRequest) -> Mode:
    """In which mode the servers run that are attacked."""
    mode: Mode = request.param
    return mode


@pytest.fixture(scope="module")
def evil_pod(forgery_mode: Mode, standard_scenes: Scenes) -> Intruder:
    """A pod beside the mail server. By PERMIT_DOCKER=host its own address may relay."""
    return add_evil_pod(standard_scenes.get(forgery_mode))


@pytest.fixture(scope="module")
def network_servers(
    request: pytest.FixtureRequest, standard_scenes: Scenes
) -> Iterator[dict[Mode, Future[Intruder]]]:
    """The evil pod before a second mail server, with the same files and PERMIT_DOCKER=network."""

    @contextmanager
    def play(mode: Mode) -> Iterator[Intruder]:
        scene = standard_scenes.get(mode)
        env = {"PERMIT_DOCKER": "network"}
        scene.add_mail_server(name="network-server", labels=NETWORK_LABELS, env=env)
        intruder = replace(add_evil_pod(scene), labels=NETWORK_LABELS)
        ports = [(intruder.targets[0], proxy_port(service, scene)) for service in POSTFIX]
        wait_for(lambda: set(reach(ports).values()) == {"open"}, LOG_SECONDS, lambda: reach(ports))
        yield intruder
        scene.cluster.api.delete("Deployment", "network-server", scene.mail)

    with side_by_side(chosen_modes(request, "forgery_mode"), play) as servers:
        yield servers


@pytest.fixture(scope="module")
def network_server(forgery_mode: Mode, network_servers: dict[Mode, Future[Intruder]]) -> Intruder:
    """One of them."""
    return network_servers[forgery_mode].result()


@pytest.fixture(scope="module")
def forgeries(
    request: pytest.FixtureRequest,
    standard_scenes: Scenes,
    network_servers: dict[Mode, Future[Intruder]],
) -> Iterator[dict[Mode, Future[None]]]:
    """Whether both servers of a mode have borne all forged clients: at once, as these must wait."""

    @contextmanager
    def play(mode: Mode) -> Iterator[None]:
        evil_pod = add_evil_pod(standard_scenes.get(mode))
        claims = build_claims(evil_pod)
        with ThreadPoolExecutor() as pool:
            both = evil_pod, network_servers[mode].result()
            list(pool.map(lambda intruder: forge_in_vain(intruder, claims), both))
        yield

    with side_by_side(chosen_modes(request, "forgery_mode"), play) as forgeries:
        yield forgeries


def test_forged_client_relays_nothing(
    forgery_mode: Mode, forgeries: dict[Mode, Future[None]]
) -> None:
    """The claimed clients may relay by PERMIT_DOCKER=host, or by PERMIT_DOCKER=network."""
    forgeries[forgery_mode].result()


@pytest.mark.parametrize("forgery_mode", SEPARATE, indirect=True, ids="-".join)
def test_plain_port_25_keeps_the_relay_rights_of_mynetworks(evil_pod: Intruder) -> None:
    plain = build_break_in(POSTFIX[0], evil_pod.targets[0], 25, b"", victim=f"plain-{VICTIM}")
    [outcome] = evil_pod.carry_out([plain], patience=GREET_SECONDS)
    assert outcome.succeeded, f"refused: {describe(outcome)}"
    wait_for_sent(evil_pod, f"plain-{VICTIM}")


def test_without_our_restrictions_the_same_header_relays(network_server: Intruder) -> None:
    """So these attacks are real, and nothing else in the server stops them."""
    victim = f"unguarded-{VICTIM}"
    forged = claim("172.16.5.5")
    port = proxy_port(POSTFIX[0], network_server.scene)
    attack = build_break_in(POSTFIX[0], network_server.targets[0], port, forged.header, "", victim)
    keep = "cp /etc/postfix/master.cf /tmp/master.cf"
    remove = f"postconf -PX $(postconf -P | grep -oE '{RESTRICTIONS}'); postfix reload"
    network_server.run_in_mail_server("bash", "-c", f"{keep}; {remove}")
    try:
        [outcome] = network_server.carry_out([attack], patience=GREET_SECONDS)
        assert outcome.succeeded, f"refused: {describe(outcome)}"
        wait_for_sent(network_server, victim)
    finally:
        restore = "cp /tmp/master.cf /etc/postfix/master.cf; postfix reload"
        network_server.run_in_mail_server("bash", "-c", restore)


def test_dovecot_closes_at_once_on_a_pod_that_is_not_of_the_edge(evil_pod: Intruder) -> None:
    """Whatever the header says: an address of the edge does not help."""
    prove_mistrust(evil_pod)


def test_dovecot_believes_the_same_headers_of_a_pod_of_the_edge(evil_pod: Intruder) -> None:
    insider = Intruder(evil_pod.scene, evil_pod.scene.edge, INSIDER)
    outcomes = insider.carry_out(build_dovecot_attacks(insider), patience=GREET_SECONDS)
    wrong = [o for o in outcomes if not o.greeted or o.succeeded]
    assert not wrong, f"no banner, or a mailbox without a password: {describe_all(wrong)}"


def test_reset_after_local_stops_no_port_but_its_own(network_server: Intruder) -> None:
    """The worst that a pod can do without a policy: smtpd cannot name a client that is gone.

    It ends (`fatal: smtpd_peer_hostaddr_to_sockaddr`), and Postfix starts none for that port for a
    minute if it had served nobody before. All other ports go on.
    """
    scene, target = network_server.scene, network_server.targets[0]
    header = version_2_local().hex()
    submission = next(s for s in POSTFIX if s.name == "submission")
    port = proxy_port(submission, scene)
    network_server.run_in_mail_server("postfix", "reload")  # so that none has served anybody
    attacks = [Attack("reset", target, port, "smtp", header, reset=True) for _ in range(5)]
    network_server.carry_out(attacks)

    others = [s for s in POSTFIX if s is not submission]
    ports = [(proxy_port(s, scene), s.implicit_tls, header) for s in others]
    if scene.listeners == "Separate":
        ports += [(s.port, s.implicit_tls, "") for s in POSTFIX]
    greetings = [Attack(f"{p}", target, p, "smtp", h, tls, ["NOOP"]) for p, tls, h in ports]
    outcomes = network_server.carry_out(greetings, patience=GREET_SECONDS)
    silent = [o for o in outcomes if not o.greeted]
    assert not silent, f"stopped too: {describe_all(silent)}\n{crashes(network_server)}"

    network_server.run_in_mail_server("supervisorctl", "restart", "postfix")
    again = Attack("again", target, port, "smtp", header)
    wait_for(
        lambda: network_server.carry_out([again])[0].greeted,
        LOG_SECONDS,
        lambda: f"port {port} serves again after a restart\n{crashes(network_server)}",
    )


def add_evil_pod(scene: Scene) -> Intruder:
    """Beside the mail server; once for each scene, however often this is called."""
    scene.add_pod(scene.mail, "evil")
    return Intruder(scene, scene.mail, "evil")


def build_claims(evil_pod: Intruder) -> list[Claim]:
    """Clients that may relay here or there, the pod itself in two ways, and one that may not."""
    own = evil_pod.addresses[0]
    claims = [*map(claim, ("127.0.0.1", "::1", own, "172.16.5.5", "203.0.113.77"))]
    return [*claims, Claim(own, version_2_local())]


def forge_in_vain(intruder: Intruder, claims: list[Claim]) -> None:
    """Every claim on every PROXY port of Postfix; all are refused, and nothing is sent."""
    known = intruder.log_size()
    target, scene = intruder.targets[0], intruder.scene
    attacks = [
        build_break_in(service, target, proxy_port(service, scene), made.header, made.client)
        for service in POSTFIX
        for made in claims
    ]
    outcomes = intruder.carry_out(attacks, patience=GREET_SECONDS)
    wrong = [o for o in outcomes if o.succeeded or not o.greeted or "\n554 " not in o.received]
    assert not wrong, f"not refused with 554: {describe_all(wrong)}"
    log = wait_for_refusals(intruder, known, claims)
    sent = [one.line for one in server_log.find_sent(log) if one.recipient == VICTIM]
    assert not sent, sent
    queue = intruder.run_in_mail_server("mailq")
    assert f" {VICTIM}\n" not in queue, queue


def wait_for_refusals(intruder: Intruder, known: int, claims: list[Claim]) -> str:
    """The log, as soon as each port has refused each claimed client there.

    It proves that Postfix took the claimed address for the client's.
    """

    def find_missing() -> list[str]:
        lines = [x for x in intruder.log(since=known).splitlines() if "reject: RCPT from" in x]
        found = {c.client: sum(f"[{c.client}]: 554 " in x for x in lines) for c in claims}
        return [client for client, count in found.items() if count < len(POSTFIX)]

    wait_for(
        lambda: not find_missing(),
        LOG_SECONDS,
        lambda: f"refusals of {find_missing()} in:\n{intruder.log(since=known)}",
        interval=0.1,
    )
    return intruder.log(since=known)


def wait_for_sent(intruder: Intruder, recipient: str) -> None:
    """Wait until Postfix tries to pass a message on; as it has no relay host, it keeps it."""
    wait_for(
        lambda: [s for s in server_log.find_sent(intruder.log()) if s.recipient == recipient],
        LOG_SECONDS,
        lambda: f"mail for {recipient} in:\n{intruder.log()[-3000:]}",
        interval=0.1,
    )


def crashes(intruder: Intruder) -> str:
    return "\n".join(server_log.find_crashes(intruder.log()))
