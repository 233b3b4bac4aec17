"""Whose PROXY header the mail server accepts, and which clients it spares."""
