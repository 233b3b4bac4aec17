"""Writes container images without a container tool: layers are tars, an archive lists them.

The same input makes the same bytes, so that an image changes only when its content does.
Source: Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # as Linux calls them: as images do


@dataclass(frozen=True)
class Image:
    """An image of one archive.

    Attributes:
        name: With its tag, such as `mailproxy.test/tools:1`.
        layers: Tars of files, the lowest first.
        config: How it is run: `Entrypoint`, `Cmd`, `Env`.
    """

    name: str
    layers: Sequence[Path]
    config: Mapping[str, object] = field(default_factory=dict)


def write_archive(target: Path, images: Sequence[Image]) -> None:
    """Write a docker-archive; a layer that several images have stands in it once."""
    digests = {layer: _digest(layer) for image in images for layer in image.layers}
    manifest = []
    with tarfile.open(target, "w") as archive:
        for digest, layer in sorted((digest, layer) for layer, digest in digests.items()):
            with layer.open("rb") as content:
                entry = tarfile.TarInfo(_layer_name(digest))
                entry.size = layer.stat().st_size
                archive.addfile(entry, content)
        for image in images:
            layer_digests = [digests[layer] for layer in image.layers]
            config = _image_config(image, layer_digests)
            config_name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add_bytes(archive, config_name, config)
            manifest.append(
                {
                    "Config": config_name,
                    "RepoTags": [image.name],
                    "Layers": [_layer_name(digest) for digest in layer_digests],
                }
            )
        _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())


def write_layer(target: Path, files: Mapping[str, Path]) -> None:
    """Write a layer of `files`, by their absolute paths in the image; all of them root's.

    Folders get no entry: those of lower layers keep their owner and mode.
    """
    with tarfile.open(target, "w") as layer:
        for path, source in sorted(files.items()):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = source.stat().st_size
            entry.mode = 0o755 if os.access(source, os.X_OK) else 0o644
            with source.open("rb") as content:
                layer.addfile(entry, content)


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _layer_name(digest: str) -> str:
    return f"{digest}/layer.tar"


def _image_config(image: Image, layer_digests: Sequence[str]) -> bytes:
    machine = os.uname().machine
    config = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": dict(image.config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in layer_digests]},
        "history": [{"created_by": "tests/cluster/archive.py"} for _ in layer_digests],
    }
    return json.dumps(config, sort_keys=True).encode()


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
