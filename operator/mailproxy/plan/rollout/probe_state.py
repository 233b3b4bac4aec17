"""Whether the mail server accepts a proxy pod's PROXY header: how often to look, what to report.

Only the mail server knows whose header it accepts. A connection through the proxy pod's own address
tells: Dovecot greets it if it accepts that pod's header, and closes it otherwise.
"""

from dataclasses import dataclass, replace

from mailproxy.options import Options


@dataclass(frozen=True)
class ProbeState:
    """What is reported of one proxy pod, and since when its answers say otherwise.

    `accepted` is reported: True, False, or None while it is not known. An answer of True is
    reported at once. Any other has to go on for a while first, as an edge that is rolled out and a
    mail server that is busy are no news:

    | reported | answer | then |
    |---|---|---|
    | any | True | True |
    | X | X | X |
    | not True | differs for `probe_grace_seconds` | the answer |
    | True | differs for `probe_accepted_grace_seconds` | the answer |

    `contrary` is the answer that differs, since `contrary_since`. `began` is when the pod appeared,
    when the list last changed, or when an answer first differed: from then on the pod is probed
    often. Times are seconds of any one clock.
    """

    options: Options
    began: float
    accepted: bool | None = None
    contrary: bool | None = None
    contrary_since: float | None = None

    def take(self, answer: bool | None, now: float) -> "ProbeState":
        """Take an answer: accepted, rejected, or (None) nothing can be told."""
        if answer or answer == self.accepted:
            return replace(self, accepted=answer, contrary=None, contrary_since=None)
        if self.contrary_since is None or answer != self.contrary:
            is_first = self.contrary_since is None and self.accepted is not None
            began = now if is_first else self.began
            return replace(self, began=began, contrary=answer, contrary_since=now)
        if now - self.contrary_since < self._grace:
            return self
        return replace(self, accepted=answer, contrary=None, contrary_since=None)

    @property
    def _grace(self) -> float:
        if self.accepted:
            return self.options.probe_accepted_grace_seconds
        return self.options.probe_grace_seconds

    def restart(self, now: float) -> "ProbeState":
        """The list has changed: probe often again."""
        return replace(self, began=now)

    def pause(self, now: float) -> float:
        """Seconds until the next probe."""
        options, age = self.options, now - self.began
        if self.accepted and self.contrary_since is None:
            return options.probe_accepted_pause_seconds
        if age < options.probe_fast_seconds:
            return options.probe_fast_pause_seconds
        return min(age / options.probe_fast_seconds, options.probe_max_pause_seconds)

    def patience(self, now: float) -> float:
        """Seconds to wait for a greeting: Traefik without its routes accepts and stays silent."""
        options = self.options
        least, most = options.probe_min_patience_seconds, options.probe_max_patience_seconds
        return min(max((now - self.began) / 2, least), most)
