"""What docker-mailserver reads when it starts."""
