"""The operator's own connections: sockets only."""
