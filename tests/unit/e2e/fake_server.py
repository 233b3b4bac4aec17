"""A server on this machine that handles one connection after the other as a test defines."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HOST = "127.0.0.1"


@contextmanager
def serve(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Yields the port; a connection is closed when `handle` returns."""
    with socket.create_server((HOST, 0)) as listener:

        def accept() -> None:
            with suppress(OSError):  # the listener is closed
                while True:
                    connection = listener.accept()[0]
                    with connection, suppress(OSError):
                        handle(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def answer(*texts: str) -> Callable[[socket.socket], None]:
    """Send the first text at once, and each of the others after receiving something."""

    def handle(connection: socket.socket) -> None:
        for number, text in enumerate(texts):
            if number:
                connection.recv(4096)
            connection.sendall(text.encode())
        while connection.recv(4096):
            pass

    return handle


def tls_context(folder: Path, asked_names: list[str | None]) -> ssl.SSLContext:
    """For a server with the certificate `server.crt`; collects the names that clients ask for."""
    key, certificate = folder / "server.key", folder / "server.crt"
    command = ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=mail.example.com"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_servername_callback(lambda _, name, __: asked_names.append(name))
    return context
