"""Attempts to relay mail, or to open a mailbox without a password, from a pod."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mailproxy.api.mail_services import Daemon, MailService
from tests.cluster.scene import INSIDER, Scene
from tests.controlplane.api import Manifest, wait_for
from tests.controlplane.edge import MAIL_LABELS
from tests.e2e import server_log
from tests.e2e.attacker import (
    Attack,
    Outcome,
    Plan,
    attack,
    mailbox_commands,
    relay_commands,
)
from tests.e2e.proxy_header import Endpoint, version_1, version_2, version_2_local
from tests.e2e.services import DOVECOT, proxy_port
from tests.e2e.sessions import PROTOCOLS

SENDER = "forger@evil.example"
LOG_SECONDS = 60.0
FOREIGN_RECIPIENT = "recipient@elsewhere.example"  # not of the server's domains


@dataclass(frozen=True)
class AttackingPod:
    """A pod that attacks a mail server directly, without an edge in between.

    Attributes:
        labels: Of the mail server's pod.
    """

    scene: Scene
    namespace: str
    pod: str
    labels: Manifest = field(default_factory=lambda: dict(MAIL_LABELS))

    @cached_property
    def addresses(self) -> list[str]:
        """Of this pod, one for each IP family."""
        return self.scene.pod_addresses(self.namespace, self.pod)

    @cached_property
    def targets(self) -> list[str]:
        """Of the mail server, one for each IP family."""
        name = self.scene.mail_pod(self.labels)["metadata"]["name"]
        return self.scene.pod_addresses(self.scene.mail, name)

    def run_attacks(self, attacks: list[Attack], **options: Any) -> list[Outcome]:
        """Run them concurrently; `options` are those of `Plan`."""
        return attack(Plan(attacks, **options), self.scene.run_in(self.namespace, self.pod))

    def run_in_mail_server(self, *command: str) -> str:
        """Output of a command in the attacked container."""
        return self.scene.run_in_mail_server(*command, labels=self.labels)

    def log(self, since: int = 0) -> str:
        """The log of the attacked server after the first `since` bytes."""
        return self.scene.logs(self.labels, since=since)

    def log_size(self) -> int:
        """Bytes of the log so far."""
        return self.scene.log_size(self.labels)


def build_attempt(
    service: MailService,
    host: str,
    port: int,
    header: bytes,
    name: str = "",
    recipient: str = FOREIGN_RECIPIENT,
) -> Attack:
    """A header, then mail for `recipient` or a command for a mailbox, as the service allows."""
    protocol = PROTOCOLS.get(service.daemon, "smtp")
    if protocol == "smtp":
        starttls = service.daemon == Daemon.SMTPD and not service.implicit_tls
        commands = relay_commands(SENDER, recipient, starttls=starttls)
    else:
        commands = mailbox_commands(protocol)
    title = f"{service.name}: {name}"
    return Attack(title, host, port, protocol, header.hex(), service.implicit_tls, commands)


def build_dovecot_attempts(pod: AttackingPod) -> list[Attack]:
    """Valid headers that name an address of the edge, on all PROXY ports of Dovecot."""
    scene = pod.scene
    edges = scene.pod_addresses(scene.edge, INSIDER)
    attempts = []
    for host, edge in zip(pod.targets, edges, strict=True):
        ends = Endpoint(edge, 4000), Endpoint(host, 143)
        headers = version_1(*ends), version_2(*ends), version_2_local()
        attempts += [
            build_attempt(service, host, proxy_port(service, scene), header, repr(header))
            for service in DOVECOT
            for header in headers
        ]
    return attempts


def check_headers_are_rejected(pod: AttackingPod) -> None:
    """Dovecot closes `build_dovecot_attempts` without a greeting, and its log names the pod."""
    known = pod.log_size()
    outcomes = pod.run_attacks(build_dovecot_attempts(pod))
    kept = [o for o in outcomes if o.closed not in ("end", "reset")]
    assert not kept, f"not closed: {describe_all(kept)}"
    answered = [o for o in outcomes if o.received]
    assert not answered, f"the server has answered: {describe_all(answered)}"

    def find_addresses() -> list[str]:
        peers = server_log.find_untrusted_peers(pod.log(since=known))
        return [str(peer.address) for peer in peers if str(peer.address) in pod.addresses]

    wait_for(
        lambda: len(find_addresses()) == len(outcomes),
        LOG_SECONDS,
        lambda: f"`Client not trusted` for {find_addresses()} in:\n{pod.log(since=known)}",
        interval=0.1,
    )
    assert set(find_addresses()) == set(pod.addresses)


def describe(outcome: Outcome) -> str:
    """An outcome and the end of its transcript, for a message."""
    transcript = outcome.received[-300:].replace("\r\n", " / ")
    how = f"greeted={outcome.greeted} granted={outcome.granted} closed={outcome.closed}"
    return f"\n  {outcome.name} (port {outcome.port}, {outcome.seconds} s) {how}: {transcript}"


def describe_all(outcomes: list[Outcome]) -> str:
    """Some of them; there may be thousands."""
    more = f"\n  and {len(outcomes) - 20} more" if len(outcomes) > 20 else ""
    return "".join(map(describe, outcomes[:20])) + more
