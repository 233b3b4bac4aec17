"""The container images of a cluster, as docker-archives in the cache: no registry is needed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.archive import Image, write_archive, write_layer
from tests.cluster.image_cache import ImageCache
from tests.cluster.operator_image import Buildah, operator_recipe
from tests.cluster.rootfs import Rootfs
from tests.controlplane.cache import cache_dir, locked

TOOLS_IMAGE = "mailproxy.test/tools:1"
PAUSE_IMAGE = "mailproxy.test/pause:1"  # the kubelet's sandbox: it holds a pod's network
MAIL_BOOKWORM_IMAGE = "mailproxy.test/mail-bookworm:1"  # Postfix 3.7, Dovecot 2.3
MAIL_TRIXIE_IMAGE = "mailproxy.test/mail-trixie:1"  # Postfix 3.10, Dovecot 2.4
TRAEFIK_IMAGE = "mailproxy.test/traefik:1"

MAIL_SERVER = Path(__file__).resolve().parent / "mail_server"

_TOOLS = (
    *("python3", "iproute2", "netcat-openbsd", "procps", "openssl", "haproxy"),
    *("swaks", "libio-socket-inet6-perl", "libnet-ssleay-perl"),  # for IPv6, and for TLS
)
_MAIL = (
    *("postfix", "postfix-pcre", "dovecot-imapd", "dovecot-pop3d", "dovecot-lmtpd"),
    *("dovecot-managesieved", "dovecot-sieve", "fail2ban", "supervisor", "nftables", "rsyslog"),
)
# One layer for all that is Debian 12: what is shared is stored and unpacked once.
BOOKWORM = Rootfs("debian-12", "bookworm", (*_TOOLS, *_MAIL, "python3-pip"))
TRIXIE = Rootfs("debian-13", "trixie", (*_TOOLS, *_MAIL))
PYTHON = Rootfs("python", "bookworm", ("python3",))


@dataclass(frozen=True)
class Recipe:
    """An image: files of ours, by their absolute paths in it, on top of a layer."""

    name: str
    config: Mapping[str, object]
    files: Mapping[str, Path] = field(default_factory=dict)

    def text(self) -> str:
        """All that decides what comes out, apart from the layer."""
        files = [(path, _digest(source)) for path, source in sorted(self.files.items())]
        return repr((self.name, self.config, files))


def ensure_images(traefik: Path) -> list[Path]:
    """Archives of all images; what is missing is made first, which takes minutes and says so.

    Args:
        traefik: Traefik's program, linked statically.

    Raises:
        ToolError: Something could not be made; the message names the remedy.
    """
    folder = cache_dir() / "images"
    with locked(folder):
        cache = ImageCache(folder)
        bookworm = [
            Recipe(TOOLS_IMAGE, {"Cmd": ["/bin/bash"]}),
            Recipe(PAUSE_IMAGE, {"Entrypoint": ["/bin/sleep", "infinity"]}),
            mail_server_recipe(MAIL_BOOKWORM_IMAGE, "bookworm"),
        ]
        trixie = [mail_server_recipe(MAIL_TRIXIE_IMAGE, "trixie")]
        program = Recipe(TRAEFIK_IMAGE, {"Entrypoint": ["/traefik"]}, {"/traefik": traefik})
        return [
            _ensure_archive(cache, "debian-12", bookworm, _ensure_rootfs(cache, BOOKWORM)),
            _ensure_archive(cache, "debian-13", trixie, _ensure_rootfs(cache, TRIXIE)),
            _ensure_archive(cache, "traefik", [program]),
            _ensure_operator(cache),
        ]


def mail_server_recipe(name: str, suite: str) -> Recipe:
    """A Debian whose start-up is that of docker-mailserver, see `mail_server`."""
    files = {
        f"/{source.relative_to(folder)}": source
        for folder in (MAIL_SERVER / "files", MAIL_SERVER / f"files-{suite}")
        for source in folder.rglob("*")
        if source.is_file()
    }
    config = {
        "Entrypoint": ["/usr/bin/supervisord", "-c", "/etc/supervisor/supervisord.conf"],
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    }
    return Recipe(name, config, files)


def _ensure_operator(cache: ImageCache) -> Path:
    build_base, base = _ensure_rootfs(cache, BOOKWORM), _ensure_rootfs(cache, PYTHON)

    def build(target: Path) -> None:
        buildah = Buildah.on_bases(cache.folder, build_base, base)
        buildah.build_operator(target)

    return cache.ensure("operator", repr((operator_recipe(), build_base.name, base.name)), build)


def _ensure_rootfs(cache: ImageCache, rootfs: Rootfs) -> Path:
    return cache.ensure(f"layer-{rootfs.name}", rootfs.recipe, rootfs.write)


def _ensure_archive(
    cache: ImageCache, name: str, recipes: Sequence[Recipe], base: Path | None = None
) -> Path:
    def build(target: Path) -> None:
        images: list[Image] = []
        for recipe in recipes:
            layers = [base] if base else []
            if recipe.files:
                layers.append(target.with_name(f"layer-{len(images)}.tar"))
                write_layer(layers[-1], recipe.files)
            images.append(Image(recipe.name, layers, recipe.config))
        write_archive(target, images)

    text = repr((base and base.name, [recipe.text() for recipe in recipes]))
    return cache.ensure(name, text, build)


def _digest(path: Path) -> str:
    """Of content and permission to run."""
    with path.open("rb") as content:
        return (
            f"{path.stat().st_mode & 0o111:o} {hashlib.file_digest(content, 'sha256').hexdigest()}"
        )
