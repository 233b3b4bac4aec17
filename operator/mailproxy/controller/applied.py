"""The record of what was applied, so that nothing is applied twice."""

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Applied:
    """What was applied to an object, and its states before and after.

    A state is whatever changes with all that matters to us, such as a resourceVersion. A cache that
    still shows a state of before is merely behind: our write is on its way there.
    """

    digest: str
    before: frozenset[Hashable]
    after: Hashable

    def covers(self, digest: str, *states: Hashable) -> bool:
        """Whether this content was applied, and an object in these states has it or will have."""
        return digest == self.digest and any(s == self.after or s in self.before for s in states)

    def seen(self, state: Hashable) -> "Applied":
        """Forget the states of before as soon as the one after has been seen."""
        return Applied(self.digest, frozenset(), state) if state == self.after else self


def hash_manifest(manifest: Mapping[str, Any]) -> str:
    """Fingerprint of what is applied."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
