"""Mail sent by swaks, from this machine or from a pod.

Debian 12's swaks speaks IPv6 only with libio-socket-inet6-perl, and TLS only with
libnet-ssleay-perl. They are recommended packages: name them if you install without recommendations.
"""

import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

TIMEOUT_SECONDS = 60  # for each answer

# `<-  250 Ok`; over TLS `<~  250 Ok`; a refusal is `<** 554 No` or `<~* 554 No`
_REPLY = re.compile(r"^<[-~*][ *] (\d{3})(?: (.*))?$", re.MULTILINE)
_QUEUED = re.compile(r"queued as (\w+)")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)

Run = Callable[[Sequence[str]], str]


class Tls(StrEnum):
    """When TLS begins."""

    NEVER = "never"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


@dataclass(frozen=True)
class Delivery:
    """The outcome of a delivery.

    Attributes:
        accepted: The server has accepted the message.
        code: Of the first rejection, else of the answer to the message; 0 without an answer.
        reply: The rest of that line.
        queue_id: Of the message in Postfix's log; empty if it was rejected.
        certificate: Of the server, in PEM; empty without TLS.
        transcript: The output of swaks.
    """

    accepted: bool
    code: int
    reply: str
    queue_id: str
    certificate: str
    transcript: str


def run_here(command: Sequence[str]) -> str:
    """Output of a command on this machine, whatever its exit code."""
    answer = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return answer.stdout.decode(errors="replace")


def deliver(
    address: str,
    port: int,
    *,
    sender: str,
    recipient: str,
    subject: str = "test",
    tls: Tls = Tls.NEVER,
    server_name: str = "",
    login: tuple[str, str] | None = None,
    source: str = "",
    timeout: int = TIMEOUT_SECONDS,
    run: Run = run_here,
) -> Delivery:
    """Send a message; a rejection is in the result.

    Args:
        address: Of the server, IPv4 or IPv6.
        server_name: Sent by SNI; none if empty.
        login: User and password, for AUTH PLAIN.
        source: The client's address, if it has several.
        timeout: Seconds for each answer.
        run: Runs swaks, here or in a pod.
    """
    options = {
        "--server": address,
        "--port": str(port),
        "--from": sender,
        "--to": recipient,
        "--helo": "client.example.com",
        "--header": f"Subject: {subject}",
        "--timeout": str(timeout),
        "--local-interface": source,
        "--tls-sni": server_name,
    }
    command = ["swaks", f"-{ip_address(address).version}"]
    command += [word for option, value in options.items() if value for word in (option, value)]
    if tls is not Tls.NEVER:
        command += ["--tls" if tls is Tls.STARTTLS else "--tls-on-connect", "--tls-get-peer-cert"]
    if login:
        user, password = login
        command += ["--auth", "PLAIN", "--auth-user", user, "--auth-password", password]
    return read_transcript(run(command))


def read_transcript(transcript: str) -> Delivery:
    """Parse the output of swaks."""
    until_end = re.split(r"^ ?[-~]> QUIT$", transcript, maxsplit=1, flags=re.MULTILINE)[0]
    replies = [(int(code), text or "") for code, text in _REPLY.findall(until_end)]
    rejections = [reply for reply in replies if reply[0] >= 400]
    code, reply = (rejections or replies[-1:] or [(0, "")])[0]
    queued = _QUEUED.search(reply)
    certificate = _CERTIFICATE.search(re.sub(r"^=== ", "", transcript, flags=re.MULTILINE))
    return Delivery(
        accepted=queued is not None,
        code=code,
        reply=reply,
        queue_id=queued[1] if queued else "",
        certificate=certificate[0] if certificate else "",
        transcript=transcript,
    )
