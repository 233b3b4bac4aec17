"""`MailServerReady`: the mail server runs with our files, and nothing defeats them."""

from mailproxy.diagnose.mail_server_ready.condition import CONDITION, inspect, owns

__all__ = ["CONDITION", "inspect", "owns"]
