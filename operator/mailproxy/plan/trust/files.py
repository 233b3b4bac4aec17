"""The files of the `-trust` ConfigMap."""

from collections.abc import Iterable

from mailproxy.api.networks import MAX_NETWORK_LENGTH, Network
from mailproxy.api.status import MAX_TRUSTED_NETWORKS
from mailproxy.plan.trust.clients import Clients
from mailproxy.plan.trust.networks import sort_networks

TRUST_FILE = "dovecot-trust.conf"
CLIENTS_FILE = "internal-clients"

# Of the longest networks, with a blank behind each; see MAX_TRUSTED_NETWORKS.
MAX_TRUST_CHARACTERS = MAX_TRUSTED_NETWORKS * (MAX_NETWORK_LENGTH + 1)


def render_trust(networks: Iterable[Network], clients: Clients | None = None) -> dict[str, str]:
    """Files that list the trusted networks, and the internal clients.

    An empty list trusts nobody. Networks are sorted and each stands there once, exactly as wide as
    it came: neighbours are not collapsed. Nothing is cut off a list that is too long either, as it
    would be chance whose clients are refused: the caller renders the empty list instead and says
    so. The clients' file has one line; there is none without clients.

    Raises:
        ValueError: A list is longer than `MAX_TRUST_CHARACTERS`, or an address has a zone.
    """
    lines = [_render_setting("haproxy_trusted_networks", networks)]
    if clients is not None and clients.forwarding is not None:
        lines.append(_render_setting("login_trusted_networks", clients.forwarding))
    files = {TRUST_FILE: "".join(lines)}
    if clients is not None:
        files[CLIENTS_FILE] = f"{_join_networks(clients.addresses)}\n"
    return files


def _render_setting(name: str, networks: Iterable[Network]) -> str:
    return f"{name} = {_join_networks(networks)}".rstrip() + "\n"


def _join_networks(networks: Iterable[Network]) -> str:
    # Dovecot stops reading at the first bad entry without an error: only parsed networks get here.
    ordered = sort_networks(networks)
    text = " ".join(map(_format_network, ordered))
    if len(text) > MAX_TRUST_CHARACTERS:
        raise ValueError(
            f"{len(ordered)} networks make {len(text)} characters, more than the"
            f" {MAX_TRUST_CHARACTERS} that Dovecot is given at once"
        )
    return text


def _format_network(network: Network) -> str:
    address = network.network_address
    if address.version == 6 and address.scope_id is not None:
        # A zone is free text: Python parses `fe80::1%x 10.0.0.1`.
        raise ValueError("an address with a zone cannot be trusted")
    return str(address if network.prefixlen == network.max_prefixlen else network)
