"""Files that are costly to make, each named after what it was made from."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.controlplane.progress import announce

KEPT = 2  # of each name: a second working copy of the repository may need another one


class ImageCache:
    """The tars of a folder; who uses it holds the folder's lock (`tests.controlplane.cache`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob(".building-*"):  # by a killed process
            shutil.rmtree(left_over)

    def ensure(self, name: str, recipe: str, build: Callable[[Path], None]) -> Path:
        """The file `<name>-<key>.tar`, which `build` writes if there is none of this `recipe`.

        The key is a hash of the recipe. Of each name the files that were used last are kept.
        """
        key = hashlib.sha256(recipe.encode()).hexdigest()[:16]
        path = self.folder / f"{name}-{key}.tar"
        if path.exists():
            os.utime(path)
            return path
        started = time.monotonic()
        announce(f"Making {path}")
        with tempfile.TemporaryDirectory(prefix=".building-", dir=self.folder) as scratch:
            unfinished = Path(scratch, path.name)
            build(unfinished)
            unfinished.replace(path)
        announce(f"Made {path.name} in {time.monotonic() - started:.0f} s")
        self._remove_old(name, len(key))
        return path

    def _remove_old(self, name: str, key_length: int) -> None:
        alike = self.folder.glob(f"{name}-{'[0-9a-f]' * key_length}.tar")
        newest_first = sorted(alike, key=lambda path: path.stat().st_mtime, reverse=True)
        for path in newest_first[KEPT:]:
            path.unlink()
