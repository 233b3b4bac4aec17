"""Traefik: static configuration, versions, routes, and its words for a remedy."""
