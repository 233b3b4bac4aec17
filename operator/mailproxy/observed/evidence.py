"""What was tried: connections and rights. Unlike a World it is never complete."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailproxy.observed.addresses import Address
from mailproxy.observed.pod import Pod


@dataclass(frozen=True)
class Evidence:
    """Results of probes and of writes that need a right of their own.

    `header_accepted` tells of proxy pods, by their first address, whether the mail server accepts
    their PROXY header, if that is known. `volume_refresh_allowed` is whether the operator may
    annotate mail pods; None until it has tried.
    """

    header_accepted: Mapping[Address, bool] = field(default_factory=dict)
    volume_refresh_allowed: bool | None = None

    def accepts(self, pod: Pod) -> bool | None:
        """Whether the mail server accepts the header of this proxy pod; None if not known."""
        known = (self.header_accepted.get(address) for address in pod.addresses)
        return next((answer for answer in known if answer is not None), None)
