"""File systems of Debian, made from its packages by mmdebstrap: the lowest layers of our images."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.commands import run_command
from tests.cluster.programs import find_debian

# What only people read is left out: a third of the size.
_OPTIONS = (
    "--variant=minbase",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")),
)
# Without an answer Debian writes a main.cf with the name of the machine that builds.
_POSTFIX_ANSWER = "postfix postfix/main_mailer_type select No configuration"
_ESSENTIAL_HOOK = f'echo {_POSTFIX_ANSWER} | chroot "$1" debconf-set-selections'
# They tell of the machine that builds.
_ITS_TRACES = "apt/apt.conf.d/99mmdebstrap", "hostname", "mailname", "resolv.conf"
_CUSTOMIZE_HOOK = f'cd "$1"/etc && rm -f {" ".join(_ITS_TRACES)}'


@dataclass(frozen=True)
class Rootfs:
    """A minimal Debian with some packages more; the newest ones when it is made."""

    name: str
    suite: str
    packages: tuple[str, ...]

    @property
    def recipe(self) -> str:
        """All that decides what comes out, apart from the packages' versions."""
        return repr((self, _OPTIONS, _ESSENTIAL_HOOK, _CUSTOMIZE_HOOK))

    def write(self, target: Path) -> None:
        """Make a tar of it, which takes one or two minutes.

        Raises:
            ToolError: mmdebstrap is missing or failed; the message names the remedy.
        """
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".rootfs-") as scratch:
            settings = Path(scratch, "apt.conf")
            settings.write_text(_apt_settings())
            command = [
                str(find_debian("mmdebstrap")),
                *_OPTIONS,
                f"--aptopt={settings}",
                f"--include={','.join(self.packages)}",
                f"--essential-hook={_ESSENTIAL_HOOK}",
                f"--customize-hook={_CUSTOMIZE_HOOK}",
                self.suite,
                str(target),
            ]
            run_command(
                command,
                title=f"Installing {self.name} from Debian {self.suite}",
                remedy="see that this machine reaches Debian's packages (`apt-get update`) and has"
                " 2 GB of free disk, then try again.",
                environment={"TMPDIR": scratch, "SOURCE_DATE_EPOCH": "0"},
            )


def _apt_settings() -> str:
    """How this machine's apt reaches Debian, and as root, whose the folder is."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False)
    ways = re.findall(r"^Acquire::(?:https?|Check-|Retries)\b.*$", dump.stdout, re.MULTILINE)
    return "\n".join([*ways, 'APT::Sandbox::User "root";', ""])
