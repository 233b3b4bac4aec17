"""Traefik: static configuration, versions and routes."""
