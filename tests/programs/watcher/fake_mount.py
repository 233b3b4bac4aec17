"""A ConfigMap as the kubelet mounts it: links to a folder that is replaced as a whole."""

import shutil
from collections.abc import Mapping
from pathlib import Path


def mount_files(directory: Path, files: Mapping[str, str]) -> None:
    """Replace the files in `directory` with these."""
    directory.mkdir(parents=True, exist_ok=True)
    old = [path for path in directory.glob("..v*") if path.is_dir()]
    number = max([int(path.name.removeprefix("..v")) for path in old], default=0) + 1
    version = directory / f"..v{number}"
    version.mkdir()
    for name, text in files.items():
        (version / name).write_bytes(text.encode())
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(Path("..data", name))
    new_data = directory / "..data_tmp"
    new_data.symlink_to(version.name)
    new_data.replace(directory / "..data")
    for path in old:
        shutil.rmtree(path)
