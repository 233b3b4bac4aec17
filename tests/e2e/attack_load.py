"""Everything at once that a PROXY port may have to bear: wrong headers, silence, too many clients.

All of it comes from a pod that Dovecot trusts, so that it reads what it gets.
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
from tests.e2e.relay_attempt import Intruder, build_break_in
from tests.e2e.services import POSTFIX, proxy_port
from tests.e2e.wrong_headers import WRONG_HEADERS, valid_headers

FUZZ = int(os.environ.get("FUZZ", "500"))  # random changes for each port
SEED = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2**32))
REPEAT = f"FUZZ={FUZZ} FUZZ_SEED={SEED} repeats it"

BATCH = 250  # attacks for one process in the pod, which has two minutes
# On each port. Postfix has 100 processes for it.
CHANGE_CONCURRENCY = 40
NAME_CONCURRENCY = 12
TIMEOUT_SECONDS = 8.0  # postscreen keeps strangers waiting for six
PATIENCE_SECONDS = 60.0  # longer than any server needs that does not wait for more
CROWD = 55  # Postfix serves 50 connections of one client at a time
CROWD_CLIENT = "10.204.255.7"  # may relay by PERMIT_DOCKER=host, and has no limit where it may
LOG_SECONDS = 30.0
START_SECONDS = 30.0
LOGINS = ("imap-login", "pop3-login", "managesieve-login")
REUSE = {"2.3": "service_count = 0", "2.4": "restart_request_count = unlimited"}
SPARE_LOGINS = 2  # processes of each kind that wait for clients
REUSE_FILE = "/etc/dovecot/conf.d/97-reuse.conf"


@dataclass(frozen=True)
class Storm:
    """What came of it.

    Attributes:
        named: Of `WRONG_HEADERS` by service, in their order.
        changed: Of random changes of valid headers. What is valid still may be greeted.
        silent: Of clients that say nothing and wait.
        crowd: Of many clients with one address, by service.
        log: What the server printed meanwhile.
    """

    named: dict[str, list[Outcome]]
    changed: list[Outcome]
    silent: list[Outcome]
    crowd: dict[str, list[Outcome]]
    log: str


def brew_storm(intruder: Intruder) -> Storm:
    """Attack all ports of a mail server at the same time.

    First come those who wait for an answer, then the many: a busy server lets all wait.
    """
    known = intruder.log_size()
    with ThreadPoolExecutor(2 * len(MAIL_SERVICES)) as pool:
        silent = pool.submit(_be_silent, intruder)
        crowds = {s.name: pool.submit(_crowd, intruder, s) for s in POSTFIX}
        named = {s.name: pool.submit(_name, intruder, s) for s in MAIL_SERVICES}
    with ThreadPoolExecutor(len(MAIL_SERVICES)) as pool:
        changed = list(pool.map(partial(_change, intruder), MAIL_SERVICES))
    return Storm(
        named={name: future.result() for name, future in named.items()},
        changed=[outcome for outcomes in changed for outcome in outcomes],
        silent=silent.result(),
        crowd={name: future.result() for name, future in crowds.items()},
        log=_read_log(intruder, known),
    )


@contextmanager
def quick_recovery(intruder: Intruder) -> Iterator[None]:
    """Settings that busy servers have: many attacks on them take little time.

    A login process of Dovecot serves one client after the other, not one alone, so what spoils it
    spoils others too. Postfix pauses a second, not a minute, before it starts a program again that
    has died at its first client.
    """
    reuse = REUSE[intruder.scene.dovecot]
    for name in LOGINS:
        line = f"service {name} {{\\n  {reuse}\\n  process_min_avail = {SPARE_LOGINS}\\n}}\\n"
        intruder.run_in_mail_server("bash", "-c", f"printf '{line}' >>{REUSE_FILE}")
    _reload(intruder, "postconf service_throttle_time=1s")
    yield
    _reload(intruder, f"rm {REUSE_FILE}; postconf -X service_throttle_time")


def ends_login_process(header: bytes) -> bool:
    """Whether Dovecot's parser gives up on it, see `server_log.find_header_crashes`.

    It ends the process and so the sessions of others, whose outcome would then say nothing.
    """
    return header.startswith(b"PROXY") and header[5:6] not in (b" ", b"\r")


def count_processes(intruder: Intruder) -> dict[str, int]:
    """How many processes serve clients, by the program's name, fresh after a reload."""
    _reload(intruder, "true")

    def count() -> dict[str, int]:
        programs = intruder.run_in_mail_server("ps", "-e", "-o", "args=").splitlines()
        names = ("smtpd", "postscreen", *LOGINS)
        found = {name: sum(name in program.split()[0] for program in programs) for name in names}
        return found if all(found[name] >= SPARE_LOGINS for name in LOGINS) else {}

    return wait_for(count, START_SECONDS, "the login processes that always wait", interval=0.1)


def find_connections(intruder: Intruder) -> list[str]:
    """Connections of the intruder that the server has not closed."""
    states = ("state", "established", "state", "close-wait")
    table = intruder.run_in_mail_server("ss", "--no-header", "--tcp", "--numeric", *states)
    own = [f"[{address}]" if ":" in address else f"{address}:" for address in intruder.addresses]
    return [line for line in table.splitlines() if any(address in line for address in own)]


def _reload(intruder: Intruder, command: str) -> None:
    intruder.run_in_mail_server("bash", "-c", f"{command}; postfix reload; doveadm reload")


def _be_silent(intruder: Intruder) -> list[Outcome]:
    attacks = [
        replace(_aim(intruder, service, b"", "silence"), implicit_tls=False)
        for service in MAIL_SERVICES
    ]
    return intruder.carry_out(attacks, patience=PATIENCE_SECONDS, timeout=PATIENCE_SECONDS)


def _crowd(intruder: Intruder, service: MailService) -> list[Outcome]:
    header = version_2(Endpoint(CROWD_CLIENT, 4000), Endpoint("127.0.0.1", 25))
    one = _aim(intruder, service, header, "one of a crowd")
    crowd = [replace(one, commands=[])] * CROWD
    options = {"patience": PATIENCE_SECONDS, "timeout": PATIENCE_SECONDS}
    return intruder.carry_out(crowd, concurrency=CROWD, together=True, **options)


def _name(intruder: Intruder, service: MailService) -> list[Outcome]:
    attacks = [_aim(intruder, service, wrong.header, wrong.name) for wrong in WRONG_HEADERS]
    options = {"patience": PATIENCE_SECONDS, "timeout": PATIENCE_SECONDS}
    return intruder.carry_out(attacks, concurrency=NAME_CONCURRENCY, **options)


def _change(intruder: Intruder, service: MailService) -> list[Outcome]:
    sender, receiver = Endpoint(intruder.addresses[0], 4000), Endpoint(intruder.targets[0], 25)
    headers = valid_headers(sender, receiver)
    attacks = [
        _aim(intruder, service, one.header, f"change {one.number}: {one.header.hex()}")
        for one in mutations(SEED + service.port, FUZZ, headers)
        if service.is_postfix or not ends_login_process(one.header)
    ]
    batches = [attacks[start : start + BATCH] for start in range(0, len(attacks), BATCH)]
    options = {"concurrency": CHANGE_CONCURRENCY, "timeout": TIMEOUT_SECONDS}
    return [outcome for batch in batches for outcome in intruder.carry_out(batch, **options)]


def _aim(intruder: Intruder, service: MailService, header: bytes, name: str) -> Attack:
    port = proxy_port(service, intruder.scene)
    return build_break_in(service, intruder.targets[0], port, header, name)


def _read_log(intruder: Intruder, known: int) -> str:
    """What was logged after the first `known` bytes, and before now."""
    mark = f"storm {SEED} is over"
    intruder.run_in_mail_server("logger", "--priority=mail.info", mark)

    def read() -> str:
        text, found, _ = intruder.log(since=known).partition(mark)
        return text if found else ""

    return wait_for(read, LOG_SECONDS, f"`{mark}` in the log", interval=0.5)
