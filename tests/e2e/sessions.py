"""A client's visit to one mail service, and the line of the server's log that says who it was.

Each service has a mailbox of its own, so that visits at the same time are told apart in the log.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

from mailproxy.api.mail_services import Daemon, Listeners, MailService, PortName
from tests.cluster.scene import Scene
from tests.cluster.workloads import PASSWORD, find_mailbox
from tests.controlplane.api import wait_for
from tests.e2e import mailbox_clients, server_log, smtp_client
from tests.e2e.report import Proof, Report
from tests.e2e.server_log import Sighting
from tests.e2e.services import SERVICES
from tests.e2e.smtp_client import Tls

LOG_SECONDS = 15.0
OUTSIDER = "someone@example.org"
PROTOCOLS = {
    Daemon.IMAP_LOGIN: "imap",
    Daemon.POP3_LOGIN: "pop3",
    Daemon.MANAGESIEVE_LOGIN: "sieve",
}

Run = Callable[[Sequence[str], str], str]


def prove_all(
    visitor: "Visitor", client: str, report: Report, ports: Sequence[PortName] = tuple(PortName)
) -> None:
    """Visit all ports at once; each must work, and the log must show this client."""
    with ThreadPoolExecutor(len(ports)) as pool:
        proofs = list(pool.map(visitor.prove, ports))
    for proof in proofs:
        report.add(proof)
    wrong = [proof.line for proof in proofs if ip_address(proof.client) != ip_address(client)]
    assert not wrong, f"the client was {client}, but the log says: {wrong}"


def prove_outside_client(scene: Scene, family: int, report: Report, way: str = "") -> None:
    """Visit all ports from this machine, which the log must show.

    Args:
        family: Index of the address: 0 is IPv4 and 1 IPv6, where the cluster has both.
    """
    visitor = Visitor(scene, scene.addresses[family], way=way)
    prove_all(visitor, scene.cluster.addresses.host[family], report)


@dataclass(frozen=True)
class Visitor:
    """Who visits which mail server, and how.

    Attributes:
        address: Where the mail server is thought to be, IPv4 or IPv6.
        server_name: What is asked for by SNI where TLS comes first.
        certificate: PEM that the server has to show; empty: whatever it likes.
        through_edge: Or straight to the normal ports, without a PROXY header.
        run: Runs a command in a pod, which is then the client; None: this machine is.
        way: What is special about the way, for the report.
    """

    scene: Scene
    address: str
    server_name: str = ""
    certificate: str = ""
    through_edge: bool = True
    run: Run | None = None
    way: str = ""

    def visit(self, name: PortName) -> Sighting:
        """Deliver a message, or log in; returns whom the log shows.

        Raises:
            AssertionError: It does not work, or the log does not tell; with what was seen.
        """
        service = SERVICES[name]
        known = self.scene.log_size()
        if service.is_postfix:
            queue_id, certificate = self._deliver(service)
            find = partial(self._find_delivery, service, queue_id)
        else:
            certificate = self._log_in(service)
            find = partial(self._find_login, service)

        def look() -> list[Sighting]:
            return find(self.scene.logs(since=known))

        if self.certificate:
            assert certificate == self.certificate, f"{service.name}: not its own\n{certificate}"
        seen = wait_for(look, LOG_SECONDS, lambda: self.scene.logs(since=known), interval=0.1)
        return seen[0]

    def prove(self, name: PortName) -> Proof:
        """`visit`, as a line of the report."""
        sighting = self.visit(name)
        return Proof(
            port=SERVICES[name].port,
            service=name,
            mode=f"{self.scene.listeners} {self.way}".strip(),
            dovecot=self.scene.dovecot,
            family=f"IPv{ip_address(self.address).version}",
            client=str(sighting.address),
            line=sighting.line,
        )

    def _deliver(self, service: MailService) -> tuple[str, str]:
        mailbox = find_mailbox(service.name)
        is_public = service.name == PortName.SMTP
        run = smtp_client.run_here
        if self.run:
            in_pod = self.run
            run = lambda command: in_pod(command, "")  # noqa: E731 - a def would hide the line above
        delivery = smtp_client.deliver(
            self.address,
            service.port,
            sender=OUTSIDER if is_public else mailbox,
            recipient=mailbox,
            tls=Tls.IMPLICIT if service.implicit_tls else Tls.STARTTLS,
            server_name=self.server_name,
            login=None if is_public else (mailbox, PASSWORD),
            run=run,
        )
        assert delivery.accepted, f"{service.name}: not delivered\n{delivery.transcript}"
        return delivery.queue_id, delivery.certificate

    def _log_in(self, service: MailService) -> str:
        request = mailbox_clients.Request(
            PROTOCOLS[service.daemon],
            self.address,
            service.port,
            find_mailbox(service.name),
            PASSWORD,
            "implicit" if service.implicit_tls else "starttls",
            self.server_name,
        )
        if self.run:
            session = mailbox_clients.run_in_pod(request, self.run)
        else:
            session = mailbox_clients.visit(request)
        assert session.logged_in and not session.error, f"{service.name}: no login\n{session}"
        return session.certificate

    def _find_delivery(self, service: MailService, queue_id: str, log: str) -> list[Sighting]:
        name = server_log.syslog_name(service, self._listeners)
        sightings = server_log.find_smtpd_clients(log, name)
        return [sighting for sighting in sightings if f" {queue_id}: " in sighting.line]

    def _find_login(self, service: MailService, log: str) -> list[Sighting]:
        return server_log.find_logins(log, service.daemon, find_mailbox(service.name))

    @property
    def _listeners(self) -> Listeners:
        """Whose names the log has: the normal ports are called alike in both modes."""
        return Listeners(self.scene.listeners) if self.through_edge else Listeners.SHARED
