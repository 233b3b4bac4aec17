"""Every label, annotation and field manager that the operator writes."""

from mailproxy.api.base import GROUP

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGER = "mailproxy-operator"  # its value, and the field manager of children and statuses
NAME_LABEL = f"{GROUP}/name"  # of a child: name of its MailProxy
EDGE_ANNOTATION = f"{GROUP}/edge-pods"  # of the trust ConfigMap: which pods are the edge's
TRUST_ANNOTATION = (
    f"{GROUP}/trust-hash"  # of a mail pod: the trust list its volume was refreshed for
)

WIRING_MANAGER = "mailproxy-wiring"  # field manager of what we put into workloads
CONSENT_ANNOTATION = f"{GROUP}/allow-wiring"  # of a workload: its owner lets us change it
WIRED_BY_LABEL = f"{GROUP}/wired-by"  # of a workload: name of the MailProxy that changed it
