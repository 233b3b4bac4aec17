import json
import tarfile
from pathlib import Path

import pytest
from tests.cluster.archive import Image, write_archive, write_layer


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A layer with a program and a text."""
    program, text = tmp_path / "program", tmp_path / "text"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text.write_text("hello\n")
    path = tmp_path / "layer.tar"
    write_layer(path, {"/usr/bin/hello": program, "/etc/hello": text})
    return path


def test_layer_has_the_files_and_keeps_who_may_run_them(layer: Path) -> None:
    with tarfile.open(layer) as files:
        modes = {entry.name: oct(entry.mode) for entry in files}
    assert modes == {"usr/bin/hello": "0o755", "etc/hello": "0o644"}


def test_layer_of_two_images_stands_in_the_archive_once(layer: Path, tmp_path: Path) -> None:
    target = tmp_path / "images.tar"
    write_archive(target, [Image("a.test/one:1", [layer]), Image("a.test/two:1", [layer])])
    with tarfile.open(target) as archive:
        layers = [name for name in archive.getnames() if name.endswith("layer.tar")]
        manifest = json.load(archive.extractfile("manifest.json") or pytest.fail())
    assert [image["Layers"] for image in manifest] == [layers, layers]
    assert [image["RepoTags"] for image in manifest] == [["a.test/one:1"], ["a.test/two:1"]]


def test_same_input_makes_the_same_archive(layer: Path, tmp_path: Path) -> None:
    images = [Image("a.test/one:1", [layer], {"Cmd": ["/usr/bin/hello"]})]
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    write_archive(first, images)
    write_archive(second, images)
    assert first.read_bytes() == second.read_bytes()


def test_config_tells_how_the_image_is_run(layer: Path, tmp_path: Path) -> None:
    target = tmp_path / "images.tar"
    write_archive(target, [Image("a.test/one:1", [layer], {"Entrypoint": ["/usr/bin/hello"]})])
    with tarfile.open(target) as archive:
        [name] = [name for name in archive.getnames() if name.endswith("json") and len(name) > 60]
        config = json.load(archive.extractfile(name) or pytest.fail())
    assert config["config"] == {"Entrypoint": ["/usr/bin/hello"]}
    assert config["os"] == "linux"
