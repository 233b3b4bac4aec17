from pathlib import Path

import pytest
from tests.cluster.image_cache import KEPT, ImageCache


def test_same_recipe_is_made_once(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path)
    first = cache.ensure("mail", "recipe", lambda target: _write(target, "first"))
    second = cache.ensure("mail", "recipe", lambda target: _write(target, "second"))
    assert first == second
    assert first.read_text() == "first"


def test_changed_recipe_makes_another_file(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path)
    old = cache.ensure("mail", "old", lambda target: _write(target, "old"))
    new = cache.ensure("mail", "new", lambda target: _write(target, "new"))
    assert (old.read_text(), new.read_text()) == ("old", "new")


def test_only_the_files_used_last_are_kept(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path)
    paths = [
        cache.ensure("mail", str(number), lambda target: _write(target, "mail"))
        for number in range(KEPT + 2)
    ]
    assert [path.exists() for path in paths] == [False] * 2 + [True] * KEPT


def test_other_names_are_left_alone(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path)
    other = cache.ensure("mail-trixie", "recipe", lambda target: _write(target, "other"))
    for number in range(KEPT + 2):
        cache.ensure("mail", str(number), lambda target: _write(target, "mail"))
    assert other.exists()


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail(target: Path) -> None:
        target.write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        ImageCache(tmp_path).ensure("mail", "recipe", fail)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".building-1").mkdir()
    (tmp_path / ".building-1" / "half.tar").touch()
    ImageCache(tmp_path)
    assert list(tmp_path.iterdir()) == []


def _write(target: Path, text: str) -> None:
    target.write_text(text)
