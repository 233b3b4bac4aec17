"""The operator's image, built by buildah from our Dockerfile on a Debian 12, without a registry."""

import ast
import configparser
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml

from tests.cluster.archive import Image, write_archive
from tests.cluster.commands import run_command
from tests.cluster.programs import find_debian

REPOSITORY = Path(__file__).resolve().parents[2]
_KUSTOMIZATION = REPOSITORY / "manifests" / "operator" / "kustomization.yaml"
# Where the Dockerfile has the machine's CA bundle, as a secret.
_CA_IN_BUILD = "/run/secrets/ca"
# Folders of this machine, and a virtual environment's needs, mean nothing in the image.
_PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "timeout", "proxy", "no-index")
_PIP_NAMES = {"default-timeout": "timeout"}
_REMEDY = (
    "see that pip on this machine reaches its package index (its settings are handed in) and that"
    " there are 3 GB of free disk, then try again."
)


def operator_image_name() -> str:
    """With the version that our manifests install."""
    image = yaml.safe_load(_KUSTOMIZATION.read_text())["images"][0]
    return f"{image['name']}:{image['newTag']}"


def operator_recipe() -> str:
    """All that decides what comes out, apart from the bases: the Dockerfile and what it copies."""
    digests = [
        (str(path.relative_to(REPOSITORY)), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(_context_files())
    ]
    return repr((operator_image_name(), digests))


def _context_files() -> Iterator[Path]:
    """Dockerfile, .dockerignore and the files that it lets through."""
    ignore = REPOSITORY / ".dockerignore"
    yield from (REPOSITORY / "Dockerfile", ignore)
    for name in re.findall(r"^!(.+)$", ignore.read_text(), re.MULTILINE):
        path = REPOSITORY / name
        files = path.rglob("*") if path.is_dir() else [path]
        yield from (f for f in files if f.is_file() and "__pycache__" not in f.parts)


@dataclass(frozen=True)
class Buildah:
    """Runs buildah with images and caches of its own, apart from the user's.

    Attributes:
        folder: Where they are.
        build_base: Layer, a tar of files, with python3 and pip.
        base: Layer with the same python3.
    """

    folder: Path
    build_base: Path
    base: Path

    @classmethod
    def on_bases(cls, parent: Path, build_base: Path, base: Path) -> Self:
        """One for these layers; what was built on others is removed."""
        key = hashlib.sha256(f"{build_base.name} {base.name}".encode()).hexdigest()[:16]
        folder = parent / f"buildah-{key}"
        for old in parent.glob("buildah-*"):
            if old != folder:
                shutil.rmtree(old)
        return cls(folder, build_base, base)

    def build_operator(self, target: Path) -> None:
        """Write a docker-archive of the operator's image to `target`, which need not exist yet.

        Raises:
            ToolError: buildah is missing or failed; the message names the remedy.
        """
        name = operator_image_name()
        self._run(
            *("build", "--layers", "--pull-never", "--network=host", "--isolation=chroot"),
            f"--build-arg=BUILD_BASE={self._import_layer(self.build_base, target)}",
            f"--build-arg=BASE={self._import_layer(self.base, target)}",
            *pip_secrets(target.parent),
            *("--tag", name, str(REPOSITORY)),
            title=f"Building {name}",
        )
        self._run("push", name, f"docker-archive:{target}:{name}", title=f"Saving {name}")

    def _import_layer(self, layer: Path, target: Path) -> str:
        """Name of an image that is this layer alone; layers are named after their content."""
        name = f"localhost/{layer.stem}:1"
        images = self._run("images", "--format={{.Name}}:{{.Tag}}", title="Listing images")
        if name not in images.splitlines():
            archive = target.with_name(f"import-{layer.name}")
            write_archive(archive, [Image(name, [layer])])
            self._run("pull", f"docker-archive:{archive}", title=f"Importing {layer.name}")
        return name

    def _run(self, *arguments: str, title: str) -> str:
        storage = [
            f"--root={self.folder / 'storage'}",
            f"--runroot={self.folder / 'run'}",
            "--storage-driver=overlay",
        ]
        command = [str(find_debian("buildah")), *storage, *arguments]
        return run_command(command, title=title, remedy=_REMEDY, environment={})


def pip_secrets(folder: Path) -> Sequence[str]:
    """Options that hand in how this machine's pip reaches its index; pip.conf is in `folder`."""
    settings = _pip_settings()
    options = []
    certificates = settings.pop("cert", None) or os.environ.get("SSL_CERT_FILE")
    if certificates:
        options.append(f"--secret=id=ca,src={certificates}")
        settings["cert"] = _CA_IN_BUILD
    config = configparser.RawConfigParser()
    config["global"] = settings
    path = folder / "pip.conf"
    with path.open("w") as file:
        config.write(file)
    return [*options, f"--secret=id=pip.conf,src={path}"]


def _pip_settings() -> dict[str, str]:
    """`_PIP_SETTINGS` and `cert`, from pip's files and from variables, which win."""
    pip = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(pip, capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for key, value in re.findall(rf"^{section}\.([\w-]+)=(.+)$", listed, re.MULTILINE):
            name = _PIP_NAMES.get(key, key)
            if name in (*_PIP_SETTINGS, "cert"):
                found[name] = str(ast.literal_eval(value))
    return found
