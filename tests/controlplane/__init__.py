"""A real Kubernetes control plane for tests and the demo, from Go modules pinned in `tests/tools`.

`binaries` finds or builds the programs, `server` runs them, `api` speaks with them, `edge` stands
in for the cluster: nodes, Traefik's pods and the mail server's.
"""
