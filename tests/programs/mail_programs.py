"""Postfix's and Dovecot's own parsers, on private files laid out as docker-mailserver does it.

No server runs and no root is needed. Where a program is missing, tests are skipped; in CI they
fail.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from tests.programs.watcher.fake_mount import mount_files

from mailproxy.plan.mail_server.overrides import CHECKED_TRUST_PATH
from mailproxy.plan.trust.files import TRUST_FILE

PACKAGES = "postfix dovecot-core dovecot-imapd dovecot-pop3d dovecot-managesieved shellcheck"

MASTER_CF = """\
# service  type  private unpriv  chroot  wakeup  maxproc command
smtp       inet  n       -       n       -       1       postscreen
smtpd      pass  -       -       n       -       -       smtpd
dnsblog    unix  -       -       n       -       0       dnsblog
tlsproxy   unix  -       -       n       -       0       tlsproxy
submission inet  n       -       n       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o cleanup_service_name=sender-cleanup
submissions inet n       -       n       -       -       smtpd
  -o syslog_name=postfix/submissions
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o cleanup_service_name=sender-cleanup
pickup     fifo  n       -       n       60      1       pickup
cleanup    unix  n       -       n       -       0       cleanup
sender-cleanup unix n    -       n       -       0       cleanup
  -o header_checks=static:DUNNO
qmgr       unix  n       -       n       300     1       qmgr
proxymap   unix  -       -       n       -       -       proxymap
proxywrite unix  -       -       n       -       1       proxymap
smtp       unix  -       -       n       -       -       smtp
# the content filter gives mail back here
127.0.0.1:10025 inet n   -       n       -       -       smtpd
  -o mynetworks=127.0.0.0/8
"""
MAIN_CF = """\
mynetworks = 127.0.0.0/8 [::1]/128 10.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
"""
SHARED_CACHE = "postscreen_cache_map = proxy:btree:$data_directory/postscreen_cache\n"

PRIVATE_FOLDERS = (
    *("/etc/fail2ban", "/etc/mailproxy", "/etc/supervisor/conf.d"),
    *("/run/dovecot", "/run/fail2ban", "/usr/local/bin"),
)

DOVECOT_CONF = """\
protocols = {protocols}
ssl = no
!include conf.d/*.conf
!include_try local.conf
"""
DOVECOT_LISTENERS = """\
service imap-login {
  inet_listener imap {
    port = 143
  }
  inet_listener imaps {
    port = 993
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = 110
  }
  inet_listener pop3s {
    port = 995
    ssl = yes
  }
}
service managesieve-login {
  inet_listener sieve {
    port = 4190
  }
  inet_listener sieve_deprecated {
    port = 2000
  }
}
"""


def leave_out(reason: str) -> NoReturn:
    """Skip the test; in CI, where nothing may be left out, it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def find_program(name: str) -> str:
    """Path of a program; the test is skipped, or in CI fails, when there is none."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if path is None:
        leave_out(f"{name} is missing: apt-get install --no-install-recommends {PACKAGES}")
    return path


def privatize(script: str, directory: Path, programs: Path) -> str:
    """`user-patches.sh` that keeps to a directory, with what it needs there and nobody to trust.

    Nothing is started and no table of this machine is changed: `programs`, which should come first
    in its PATH, gets such an `nft` and such a `supervisorctl`.
    """
    root = directory / "root"
    for folder in PRIVATE_FOLDERS:
        (root / folder[1:]).mkdir(parents=True, exist_ok=True)
        script = script.replace(f"{folder}/", f"{root}{folder}/")
        script = script.replace(f"={folder}\n", f"={root}{folder}\n")
    if not (root / "etc/mailproxy/trust").exists():
        nobody = "haproxy_trusted_networks =\n"
        mount_files(root / "etc/mailproxy/trust", {"dovecot-trust.conf": nobody})
    for name in ("nft", "supervisorctl"):
        if not (programs / name).exists():
            (programs / name).write_text("#!/bin/sh\ncat >/dev/null\n")
            (programs / name).chmod(0o755)
    return script


class Postfix:
    """A private `main.cf` and `master.cf`, and what docker-mailserver does to them."""

    def __init__(self, directory: Path) -> None:
        self.postconf_path = find_program("postconf")
        directory.mkdir(parents=True, exist_ok=True)
        self.master_cf = directory / "master.cf"
        self.main_cf = directory / "main.cf"
        self.programs = directory / "programs"
        self.master_cf.write_text(MASTER_CF)
        self.write_main_cf(MAIN_CF + SHARED_CACHE)
        self.programs.mkdir(exist_ok=True)

    def write_main_cf(self, text: str) -> None:
        """Write `main.cf` as if it were old: Postfix waits before it reads a very new one."""
        self.main_cf.write_text(text)
        os.utime(self.main_cf, (0, 0))

    def _run(self, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        postfix_path = Path(self.postconf_path).parent
        environment = {
            "MAIL_CONFIG": str(self.main_cf.parent),
            "TMPDIR": str(self.main_cf.parent),
            "PATH": f"{self.programs}:{postfix_path}:{os.environ.get('PATH', os.defpath)}",
        }
        return subprocess.run(
            command, env=environment, input=stdin, capture_output=True, text=True, check=False
        )

    def postconf(self, *arguments: str) -> str:
        """Output of a `postconf` that neither fails nor warns."""
        result = self._run(self.postconf_path, *arguments)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    def run_script(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run `user-patches.sh` the way docker-mailserver does."""
        path = self.main_cf.parent / "user-patches.sh"
        path.write_text(privatize(script, self.main_cf.parent, self.programs))
        return self._run("/bin/bash", str(path))

    def apply_master_overrides(self, overrides: str) -> subprocess.CompletedProcess[str]:
        """Read `postfix-master.cf` the way docker-mailserver does."""
        loop = 'while read -r L; do [[ ${L} =~ ^[0-9a-z] ]] && postconf -P "${L}"; done; true'
        return self._run("/bin/bash", "-c", loop, stdin=overrides)

    def break_postconf(self, *, when: str) -> None:
        """Let each `postconf` fail whose arguments match `when`, a pattern of bash's `case`."""
        shim = self.programs / "postconf"
        shim.write_text(
            f'#!/bin/bash\ncase "$*" in {when}) echo broken >&2; exit 1 ;; esac\n'
            f'exec {self.postconf_path} "$@"\n'
        )
        shim.chmod(0o755)

    def parameters(self, *services: str) -> dict[str, dict[str, str]]:
        """Parameters that `master.cf` sets for each service (`12525/inet`), as `postconf` sees."""
        found: dict[str, dict[str, str]] = {}
        for line in self.postconf("-P", *services).splitlines():
            name, _, value = line.partition(" =")
            service, _, parameter = name.rpartition("/")
            found.setdefault(service, {})[parameter] = value.strip()
        return found

    def programs_by_service(self) -> dict[str, str]:
        """What each service of `master.cf` runs."""
        entries = [line.split() for line in self.postconf("-M").splitlines()]
        names = [f"{fields[0]}/{fields[1]}" for fields in entries]
        assert len(names) == len(set(names)), "a service stands in master.cf twice"
        return dict(zip(names, (fields[7] for fields in entries), strict=True))


class Dovecot:
    """A private Dovecot configuration into which `dovecot.cf` is copied as `local.conf`."""

    def __init__(self, directory: Path, *, protocols: str) -> None:
        self._doveconf = find_program("doveconf")
        self.trust_directory = directory / "trust"
        self._main = directory / "dovecot.conf"
        self._extra = directory / "conf.d" / "50-user.conf"
        self._local = directory / "local.conf"
        self._extra.parent.mkdir(parents=True, exist_ok=True)
        (self._extra.parent / "10-master.conf").write_text(DOVECOT_LISTENERS)
        self._main.write_text(DOVECOT_CONF.format(protocols=protocols))

    def add_user_settings(self, text: str) -> None:
        self._extra.write_text(text)

    def copy_overrides(self, text: str) -> None:
        """Copy `dovecot.cf`, with the path of the list of trusted networks made a private one."""
        assert text.count(CHECKED_TRUST_PATH) == 1
        private = str(self.trust_directory / TRUST_FILE)
        self._local.write_text(text.replace(CHECKED_TRUST_PATH, private))

    def write_local_conf(self, text: str) -> Path:
        """Write the file that docker-mailserver makes of `dovecot.cf`; returns its path."""
        self._local.write_text(text)
        return self._local

    def mount_trust(self, files: dict[str, str]) -> None:
        """Lay out the checked copy of the mounted list."""
        mount_files(self.trust_directory, files)

    def settings(self) -> dict[str, Any]:
        """Settings that differ from Dovecot's defaults, sections as nested dicts."""
        result = self._run()
        assert (result.returncode, result.stderr) == (0, "")
        return _parse_sections(result.stdout)

    def find_error(self) -> str:
        """What keeps Dovecot from reading its configuration, as `line 1: why`; empty if nothing."""
        complaints = re.findall(r"Fatal: Error in configuration file \S+ (.*)", self._run().stderr)
        return complaints[0] if complaints else ""

    def doveconf_script(self) -> str:
        """A `doveconf` that reads this configuration, whatever it is asked to do."""
        return f'#!/bin/bash\nexec {self._doveconf} -c {self._main} "$@"\n'

    def _run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._doveconf, "-n", "-c", str(self._main)],
            capture_output=True,
            text=True,
            check=False,
        )

    def listeners(self) -> dict[str, dict[str, str]]:
        """Every `inet_listener` of the login services with its settings."""
        return {
            name.removeprefix("inet_listener "): settings
            for service, sections in self.settings().items()
            if service.startswith("service ")
            for name, settings in sections.items()
            if name.startswith("inet_listener ")
        }


@contextmanager
def private_postfix() -> Iterator[Postfix]:
    with tempfile.TemporaryDirectory() as directory:
        yield Postfix(Path(directory))


@contextmanager
def private_dovecot(protocols: str = "imap pop3 sieve") -> Iterator[Dovecot]:
    with tempfile.TemporaryDirectory() as directory:
        yield Dovecot(Path(directory), protocols=protocols)


def _parse_sections(text: str) -> dict[str, Any]:
    stack: list[dict[str, Any]] = [{}]
    for line in map(str.strip, text.splitlines()):
        if line.endswith("{") and "=" not in line:
            stack.append(stack[-1].setdefault(line.removesuffix("{").strip(), {}))
        elif line == "}":
            stack.pop()
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            stack[-1][key.strip()] = value.strip()
    assert len(stack) == 1
    return stack[0]
