"""The node's images, imported once: every cluster starts with them and without a container.

containerd keeps an image as unpacked layers, `snapshots/<n>`, and two databases that name them. A
cluster gets copies of the databases and sees the layers through bind mounts, so its containers
leave nothing behind, and several clusters share the layers.
"""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.controlplane.cache import cache_dir, locked
from tests.controlplane.processes import ProcessGroup, Server, stop_servers
from tests.controlplane.progress import announce

METADATA = Path("io.containerd.metadata.v1.bolt/meta.db")
CONTENT = Path("io.containerd.content.v1.content")
SNAPSHOTTER = Path("io.containerd.snapshotter.v1.overlayfs")
START_SECONDS = 30.0
RECENT_SECONDS = 900.0  # a cluster that is about to start from a store does not hold it yet
NAMESPACE = "k8s.io"  # where the kubelet looks for images


def ensure_store(archives: Sequence[Path], programs: Mapping[str, Path]) -> Path:
    """Folder of a containerd that holds exactly these images; 20 s when one of them is new.

    Args:
        archives: docker-archive files, each with its content in its name.

    Raises:
        RuntimeError: containerd did not start, or refused an image.
    """
    text = "\n".join(sorted(archive.name for archive in archives))
    folder = cache_dir() / "stores" / hashlib.sha256(text.encode()).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    _lock_file(folder).touch()
    if not folder.exists():
        with locked(folder):
            if not folder.exists():
                _import_images(archives, programs, folder)
    return folder


def _import_images(archives: Sequence[Path], programs: Mapping[str, Path], folder: Path) -> None:
    announce(f"Importing {len(archives)} images into containerd")
    with tempfile.TemporaryDirectory(prefix=".importing-", dir=folder.parent) as unfinished:
        root = Path(unfinished, "root")
        with tempfile.TemporaryDirectory(prefix="mailproxy-") as state:
            _run_containerd(root, Path(state), archives, programs)
        root.rename(folder)


def _run_containerd(
    root: Path, state: Path, archives: Sequence[Path], programs: Mapping[str, Path]
) -> None:
    config, socket = state / "config.toml", state / "containerd.sock"
    config.write_text(
        f'version = 3\nroot = "{root}"\nstate = "{state}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\n  address = "{socket}"\n'
    )
    group = ProcessGroup()
    server = Server([programs["containerd"], "--config", config], state / "containerd.log", group)
    ctr: list[str | Path] = [programs["ctr"], "--address", socket, "--namespace", NAMESPACE]
    try:
        _await_containerd(server, [*ctr, "version"])
        for archive in archives:
            command = [*ctr, "images", "import", "--local", archive]
            answer = subprocess.run(command, capture_output=True, text=True)
            if answer.returncode:
                raise RuntimeError(f"{archive} cannot be imported: {answer.stderr.strip()}")
    finally:
        stop_servers([server], START_SECONDS)
        group.kill()


def _await_containerd(server: Server, question: Sequence[str | Path]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run(question, capture_output=True).returncode:
        if server.has_ended() or time.monotonic() > deadline:
            raise RuntimeError(f"containerd does not start:\n{server.output()}")
        time.sleep(0.05)


def mount_store(store: Path, root: Path) -> None:
    """Make `root` a containerd folder with the images of `store`; in a mount namespace of its own.

    Nothing is written to `store` but content that containerd may add and never does here.
    """
    for database in (METADATA, SNAPSHOTTER / "metadata.db"):
        (root / database).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store / database, root / database)
    snapshots = [SNAPSHOTTER / "snapshots" / path.name for path in _snapshots(store)]
    for folder in [CONTENT, *snapshots]:
        (root / folder).mkdir(parents=True)
        subprocess.run(["mount", "--bind", store / folder, root / folder], check=True)


@contextmanager
def in_use(store: Path) -> Iterator[None]:
    """Nobody removes the store meanwhile; the lock is the kernel's, as in `cache.locked`."""
    with _lock_file(store).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def remove_other_stores(keep: Path) -> None:
    """Delete the stores that no cluster uses or has lately asked for.

    Another working copy of the repository has images, and so a store, of its own.
    """
    for folder in keep.parent.iterdir():
        if folder == keep or not folder.is_dir() or folder.name.startswith("."):
            continue
        lock_file = _lock_file(folder)
        with lock_file.open("a") as lock:  # which leaves its time as it is
            if time.time() - lock_file.stat().st_mtime < RECENT_SECONDS:
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(folder)
            lock_file.unlink()


def _lock_file(store: Path) -> Path:
    """Its time is that of the last `ensure_store`."""
    return store.with_name(f"{store.name}.lock")


def _snapshots(store: Path) -> list[Path]:
    return sorted((store / SNAPSHOTTER / "snapshots").iterdir())
