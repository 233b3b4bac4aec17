"""One who listens at an address of this machine in the place of a proxy pod."""

import socket
import threading
from typing import Self


def find_own_address() -> str:
    """An address of this machine that is not its loopback, which no pod could have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses a source
        return str(probe.getsockname()[0])


class Listener:
    """Says its `words` to everybody who connects, and closes at once where it has none."""

    def __init__(self, words: bytes = b"") -> None:
        self.words = words
        self.address = find_own_address()
        self._socket = socket.create_server((self.address, 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # closed
            with connection:
                connection.sendall(self.words)
