"""mailproxy: a mail server behind a TCP proxy that sees every client's own address."""

__version__ = "0.1.0"
