import os
import time
from pathlib import Path

from tests.cluster.store import RECENT_SECONDS, in_use, remove_other_stores


def make_store(folder: Path, name: str, age: float = 2 * RECENT_SECONDS) -> Path:
    """A store that was asked for `age` seconds ago."""
    store = folder / name
    (store / "content").mkdir(parents=True)
    lock = folder / f"{name}.lock"
    lock.touch()
    os.utime(lock, times=(time.time() - age,) * 2)
    return store


def test_a_store_that_nobody_uses_any_more_is_removed(tmp_path: Path) -> None:
    own, old = make_store(tmp_path, "own"), make_store(tmp_path, "old")
    remove_other_stores(own)
    assert own.exists()
    assert not old.exists()


def test_a_store_in_use_is_kept(tmp_path: Path) -> None:
    own, used = make_store(tmp_path, "own"), make_store(tmp_path, "used")
    with in_use(used):
        remove_other_stores(own)
    assert used.exists()
    remove_other_stores(own)
    assert not used.exists()


def test_a_store_that_was_asked_for_a_moment_ago_is_kept_for_the_cluster_to_come(
    tmp_path: Path,
) -> None:
    own, awaited = make_store(tmp_path, "own"), make_store(tmp_path, "awaited", age=0)
    remove_other_stores(own)
    assert awaited.exists()
