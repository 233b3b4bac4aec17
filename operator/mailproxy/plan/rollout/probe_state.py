"""Whether the mail server believes a proxy pod: where to look, how often, and when to say so.

Only the mail server knows whom it believes. A connection through the proxy pod's own address tells:
Dovecot greets it if it believes that pod's PROXY header, and closes it otherwise.
"""

from dataclasses import dataclass, replace

# So long a pod has to be refused before that is said: an edge that is rolled out is no news, and a
# mail server that is merely busy has greeted before.
GRACE_SECONDS, BELIEVED_GRACE_SECONDS = 2.0, 10.0
FAST_SECONDS = 10.0
FAST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
BELIEVED_PAUSE = 300.0
SHORTEST_PATIENCE, LONGEST_PATIENCE = 1.0, 5.0


@dataclass(frozen=True)
class Belief:
    """What is said of one proxy pod (`believed`, None: not known) and what would change it.

    `began` is when it appeared, when the list last changed, or when an answer last surprised:
    from then on it is looked at often. Answers that say otherwise than `believed` since `since`
    have to go on for a while. Times are seconds of any one clock.
    """

    began: float
    believed: bool | None = None
    doubt: bool | None = None
    since: float | None = None

    def take(self, answer: bool | None, now: float) -> "Belief":
        """Take note of a try: it was believed, or not, or (None) it tells nothing."""
        if answer or answer == self.believed:
            return replace(self, believed=answer, doubt=None, since=None)
        if self.since is None or answer != self.doubt:
            began = now if self.since is None and self.believed is not None else self.began
            return replace(self, began=began, doubt=answer, since=now)
        if now - self.since < (BELIEVED_GRACE_SECONDS if self.believed else GRACE_SECONDS):
            return self
        return replace(self, believed=answer, doubt=None, since=None)

    def restart(self, now: float) -> "Belief":
        """The list has changed: look often again."""
        return replace(self, began=now)

    def pause(self, now: float) -> float:
        """Seconds until the next try."""
        if self.believed and self.since is None:
            return BELIEVED_PAUSE
        age = now - self.began
        return FAST_PAUSE if age < FAST_SECONDS else min(age / FAST_SECONDS, LONGEST_PAUSE)

    def patience(self, now: float) -> float:
        """Seconds to wait for a greeting: Traefik without its routes accepts and stays silent."""
        return min(max((now - self.began) / 2, SHORTEST_PATIENCE), LONGEST_PATIENCE)
