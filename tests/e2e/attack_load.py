"""Attacks all PROXY ports at once: invalid headers, silent clients, too many clients.

They come from a pod that Dovecot trusts, so that it reads their headers.
"""

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from mailproxy.api.mail_services import MAIL_SERVICES, MailService
from tests.controlplane.api import wait_for
from tests.e2e.attacker import Attack, Outcome
from tests.e2e.proxy_header import Endpoint, mutations, version_2
from tests.e2e.relay_attempt import AttackingPod, build_attempt
from tests.e2e.services import POSTFIX, proxy_port
from tests.e2e.wrong_headers import WRONG_HEADERS, valid_headers

FUZZ = int(os.environ.get("FUZZ", "100"))  # random changes for each port
SEED = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2**32))
REPEAT = f"repeat with FUZZ={FUZZ} FUZZ_SEED={SEED}"

BATCH = 250  # attacks of one process in the pod, which has two minutes
# On each port. Postfix has 100 processes for it.
CHANGE_CONCURRENCY = 40
NAME_CONCURRENCY = 12
TIMEOUT_SECONDS = 8.0  # postscreen delays the greeting of new clients by six
PATIENCE_SECONDS = 60.0  # more than a server needs that waits for nothing
CONNECTIONS = 55  # of a single client, of which Postfix serves 50 at a time
SINGLE_CLIENT = "10.204.255.7"  # PERMIT_DOCKER=host lets it relay, then without a limit
LOG_SECONDS = 60.0
START_SECONDS = 60.0
LOGINS = ("imap-login", "pop3-login", "managesieve-login")
REUSE = {"2.3": "service_count = 0", "2.4": "restart_request_count = unlimited"}
SPARE_LOGINS = 2  # processes of each kind that wait for clients
REUSE_FILE = "/etc/dovecot/conf.d/97-reuse.conf"


@dataclass(frozen=True)
class LoadResult:
    """The outcomes.

    Attributes:
        named: Of `WRONG_HEADERS` by service, in their order.
        changed: Of random changes of valid headers; some are still valid, and greeted.
        silent: Of clients that send nothing and wait.
        single_client: Of many connections of one address, by service.
        log: Of the server, meanwhile.
    """

    named: dict[str, list[Outcome]]
    changed: list[Outcome]
    silent: list[Outcome]
    single_client: dict[str, list[Outcome]]
    log: str


def run_attack_load(pod: AttackingPod) -> LoadResult:
    """Attack all ports of a mail server at the same time.

    Attacks that wait for an answer come first, as a busy server delays all answers.
    """
    known = pod.log_size()
    with ThreadPoolExecutor(2 * len(MAIL_SERVICES)) as pool:
        silent = pool.submit(_wait_silently, pod)
        single = {s.name: pool.submit(_connect_often, pod, s) for s in POSTFIX}
        named = {s.name: pool.submit(_send_named, pod, s) for s in MAIL_SERVICES}
    with ThreadPoolExecutor(len(MAIL_SERVICES)) as pool:
        changed = list(pool.map(partial(_send_changed, pod), MAIL_SERVICES))
    return LoadResult(
        named={name: future.result() for name, future in named.items()},
        changed=[outcome for outcomes in changed for outcome in outcomes],
        silent=silent.result(),
        single_client={name: future.result() for name, future in single.items()},
        log=_read_log(pod, known),
    )


@contextmanager
def quick_recovery(pod: AttackingPod) -> Iterator[None]:
    """Settings of busy servers, with which many attacks take little time.

    A login process of Dovecot serves one client after the other, so a crash of it affects others.
    Postfix waits for a second, not a minute, before it restarts a program that has died at its
    first client.
    """
    reuse = REUSE[pod.scene.dovecot]
    for name in LOGINS:
        line = f"service {name} {{\\n  {reuse}\\n  process_min_avail = {SPARE_LOGINS}\\n}}\\n"
        pod.run_in_mail_server("bash", "-c", f"printf '{line}' >>{REUSE_FILE}")
    _reload(pod, "postconf service_throttle_time=1s")
    yield
    _reload(pod, f"rm {REUSE_FILE}; postconf -X service_throttle_time")


def ends_login_process(header: bytes) -> bool:
    """Whether it crashes Dovecot's parser, see `server_log.find_header_crashes`.

    The crash ends other sessions of the process, whose outcomes would be meaningless.
    """
    return header.startswith(b"PROXY") and header[5:6] not in (b" ", b"\r")


def count_processes(pod: AttackingPod) -> dict[str, int]:
    """Number of processes that serve clients, by program, right after a reload."""
    _reload(pod, "true")

    def count() -> dict[str, int]:
        programs = pod.run_in_mail_server("ps", "-e", "-o", "args=").splitlines()
        names = ("smtpd", "postscreen", *LOGINS)
        found = {name: sum(name in program.split()[0] for program in programs) for name in names}
        return found if all(found[name] >= SPARE_LOGINS for name in LOGINS) else {}

    return wait_for(count, START_SECONDS, "the spare login processes", interval=0.1)


def find_connections(pod: AttackingPod) -> list[str]:
    """Connections of the pod that the server has not closed."""
    states = ("state", "established", "state", "close-wait")
    table = pod.run_in_mail_server("ss", "--no-header", "--tcp", "--numeric", *states)
    own = [f"[{address}]" if ":" in address else f"{address}:" for address in pod.addresses]
    return [line for line in table.splitlines() if any(address in line for address in own)]


def _reload(pod: AttackingPod, command: str) -> None:
    pod.run_in_mail_server("bash", "-c", f"{command}; postfix reload; doveadm reload")


def _wait_silently(pod: AttackingPod) -> list[Outcome]:
    attacks = [
        replace(_build_attack(pod, service, b"", "silence"), implicit_tls=False)
        for service in MAIL_SERVICES
    ]
    return pod.run_attacks(attacks, patience=PATIENCE_SECONDS, timeout=PATIENCE_SECONDS)


def _connect_often(pod: AttackingPod, service: MailService) -> list[Outcome]:
    header = version_2(Endpoint(SINGLE_CLIENT, 4000), Endpoint("127.0.0.1", 25))
    one = _build_attack(pod, service, header, "one of many")
    attacks = [replace(one, commands=[])] * CONNECTIONS
    options = {"patience": PATIENCE_SECONDS, "timeout": PATIENCE_SECONDS}
    return pod.run_attacks(attacks, concurrency=CONNECTIONS, together=True, **options)


def _send_named(pod: AttackingPod, service: MailService) -> list[Outcome]:
    attacks = [_build_attack(pod, service, wrong.header, wrong.name) for wrong in WRONG_HEADERS]
    options = {"patience": PATIENCE_SECONDS, "timeout": PATIENCE_SECONDS}
    return pod.run_attacks(attacks, concurrency=NAME_CONCURRENCY, **options)


def _send_changed(pod: AttackingPod, service: MailService) -> list[Outcome]:
    sender, receiver = Endpoint(pod.addresses[0], 4000), Endpoint(pod.targets[0], 25)
    headers = valid_headers(sender, receiver)
    attacks = [
        _build_attack(pod, service, one.header, f"change {one.number}: {one.header.hex()}")
        for one in mutations(SEED + service.port, FUZZ, headers)
        if service.is_postfix or not ends_login_process(one.header)
    ]
    batches = [attacks[start : start + BATCH] for start in range(0, len(attacks), BATCH)]
    options = {"concurrency": CHANGE_CONCURRENCY, "timeout": TIMEOUT_SECONDS}
    return [outcome for batch in batches for outcome in pod.run_attacks(batch, **options)]


def _build_attack(pod: AttackingPod, service: MailService, header: bytes, name: str) -> Attack:
    port = proxy_port(service, pod.scene)
    return build_attempt(service, pod.targets[0], port, header, name)


def _read_log(pod: AttackingPod, known: int) -> str:
    """The log after its first `known` bytes, until now."""
    mark = f"end of attack load {SEED}"
    pod.run_in_mail_server("logger", "--priority=mail.info", mark)

    def read() -> str:
        text, found, _ = pod.log(since=known).partition(mark)
        return text if found else ""

    return wait_for(read, LOG_SECONDS, f"`{mark}` in the log", interval=0.5)
