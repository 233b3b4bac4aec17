"""Every label, annotation and field manager that the operator writes."""

from mailproxy.api.base import GROUP

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGER = "mailproxy-operator"
NAME_LABEL = f"{GROUP}/name"
EDGE_ANNOTATION = f"{GROUP}/edge-pods"
TRUST_ANNOTATION = f"{GROUP}/trust-hash"
WIRING_MANAGER = "mailproxy-wiring"  # owns what we put into workloads, and nothing else
CONSENT_ANNOTATION = f"{GROUP}/allow-wiring"
WIRED_BY_LABEL = f"{GROUP}/wired-by"
