"""Sessions with mail services, and the lines of the server's log that show their client.

Each service has a mailbox of its own, so that the log tells concurrent sessions apart.
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
from tests.e2e.server_log import LoggedClient
from tests.e2e.services import SERVICES
from tests.e2e.smtp_client import Tls

LOG_SECONDS = 60.0
OUTSIDER = "someone@example.org"
PROTOCOLS = {
    Daemon.IMAP_LOGIN: "imap",
    Daemon.POP3_LOGIN: "pop3",
    Daemon.MANAGESIEVE_LOGIN: "sieve",
}

Run = Callable[[Sequence[str], str], str]


def check_ports(
    client: "MailClient", address: str, report: Report, ports: Sequence[PortName] = tuple(PortName)
) -> None:
    """Use all ports at once: each works, and the log shows the client with this address."""
    with ThreadPoolExecutor(len(ports)) as pool:
        proofs = list(pool.map(client.prove, ports))
    for proof in proofs:
        report.add(proof)
    wrong = [proof.line for proof in proofs if ip_address(proof.client) != ip_address(address)]
    assert not wrong, f"the client was {address}, but the log says: {wrong}"


def check_outside_client(scene: Scene, family: int, report: Report, way: str = "") -> None:
    """Use all ports from this machine, outside of the cluster.

    Args:
        family: Index of the address: 0 is IPv4 and 1 IPv6 if the cluster has both.
    """
    client = MailClient(scene, scene.addresses[family], way=way)
    check_ports(client, scene.cluster.addresses.host[family], report)


@dataclass(frozen=True)
class MailClient:
    """A client of a mail server, and its way there.

    Attributes:
        address: Of the mail server or its edge, IPv4 or IPv6.
        server_name: Sent by SNI on ports with implicit TLS.
        certificate: The server must have this one, in PEM, if it is not empty.
        through_edge: False if `address` is the mail server itself, without a PROXY header.
        run: Runs a command in a pod, which then is the client; this machine is if None.
        way: The special feature of the way, for the report.
    """

    scene: Scene
    address: str
    server_name: str = ""
    certificate: str = ""
    through_edge: bool = True
    run: Run | None = None
    way: str = ""

    def run_session(self, name: PortName) -> LoggedClient:
        """Deliver a message, or log in; returns the client that the log shows.

        Raises:
            AssertionError: It fails, or the log does not show it; with the transcript or log.
        """
        service = SERVICES[name]
        known = self.scene.log_size()
        if service.is_postfix:
            queue_id, certificate = self._deliver(service)
            find = partial(self._find_delivery, service, queue_id)
        else:
            certificate = self._log_in(service)
            find = partial(self._find_login, service)

        def find_in_log() -> list[LoggedClient]:
            return find(self.scene.logs(since=known))

        if self.certificate:
            assert certificate == self.certificate, (
                f"{service.name}: another certificate\n{certificate}"
            )
        seen = wait_for(
            find_in_log, LOG_SECONDS, lambda: self.scene.logs(since=known), interval=0.1
        )
        return seen[0]

    def prove(self, name: PortName) -> Proof:
        """`run_session`, as a line of the report."""
        client = self.run_session(name)
        return Proof(
            port=SERVICES[name].port,
            service=name,
            mode=f"{self.scene.listeners} {self.way}".strip(),
            dovecot=self.scene.dovecot,
            family=f"IPv{ip_address(self.address).version}",
            client=str(client.address),
            line=client.line,
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
            session = mailbox_clients.run_session(request)
        assert session.logged_in and not session.error, f"{service.name}: no login\n{session}"
        return session.certificate

    def _find_delivery(self, service: MailService, queue_id: str, log: str) -> list[LoggedClient]:
        name = server_log.syslog_name(service, self._listeners)
        clients = server_log.find_smtpd_clients(log, name)
        return [client for client in clients if f" {queue_id}: " in client.line]

    def _find_login(self, service: MailService, log: str) -> list[LoggedClient]:
        return server_log.find_logins(log, service.daemon, find_mailbox(service.name))

    @property
    def _listeners(self) -> Listeners:
        """Mode of the names in the log: the normal ports have the same in both modes."""
        return Listeners(self.scene.listeners) if self.through_edge else Listeners.SHARED
