import configparser
import os
import subprocess
from pathlib import Path

import pytest
from tests.cluster.images import MAIL_SERVER, Recipe, mail_server_recipe
from tests.cluster.operator_image import (
    REPOSITORY,
    operator_image_name,
    operator_recipe,
    pip_secrets,
)
from tests.programs.mail_programs import find_program

START_SCRIPT = "/usr/local/bin/start-mailserver.sh"


def test_start_script_passes_shellcheck() -> None:
    script = MAIL_SERVER / "files" / START_SCRIPT.lstrip("/")
    result = subprocess.run(
        [find_program("shellcheck"), str(script)], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_mail_server_has_its_start_script_and_the_dovecot_configuration(suite: str) -> None:
    files = mail_server_recipe("mail:1", suite).files
    assert {START_SCRIPT, "/etc/dovecot/conf.d/10-auth.conf"} <= files.keys()


def test_dovecot_configurations_of_the_suites_differ() -> None:
    bookworm, trixie = (mail_server_recipe("mail:1", suite) for suite in ("bookworm", "trixie"))
    assert bookworm.text() != trixie.text()


def test_recipe_changes_with_a_file_and_with_who_may_run_it(tmp_path: Path) -> None:
    program = tmp_path / "program"
    texts = []
    for content, mode in [("one", 0o644), ("two", 0o644), ("two", 0o755)]:
        program.write_text(content)
        program.chmod(mode)
        texts.append(Recipe("image:1", {}, {"/program": program}).text())
    assert len(set(texts)) == 3


def test_operator_recipe_covers_what_the_dockerfile_copies() -> None:
    recipe = operator_recipe()
    for name in ("Dockerfile", "requirements.lock", "operator/mailproxy/__main__.py"):
        assert f"'{name}'" in recipe
    copied = [
        word
        for line in (REPOSITORY / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert all(f"'{name}" in recipe for name in copied)


def test_operator_image_is_the_one_that_the_manifests_install() -> None:
    name, _, tag = operator_image_name().partition(":")
    assert f"newTag: {tag}" in (REPOSITORY / "manifests/operator/kustomization.yaml").read_text()
    assert f"image: {name}" in (REPOSITORY / "manifests/operator/deployment.yaml").read_text()


@pytest.fixture
def pip_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `pip_secrets` writes on a machine whose pip has no settings but those of a test."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tmp_path / "pip.conf"


def test_pip_in_the_build_gets_the_index_but_no_folder_of_this_machine(
    pip_conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.test/simple")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "180")
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    options = pip_secrets(pip_conf.parent)
    assert options == [f"--secret=id=pip.conf,src={pip_conf}"]
    assert _settings(pip_conf) == {"index-url": "https://index.test/simple", "timeout": "180"}


def test_pip_in_the_build_gets_the_certificates(
    pip_conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CERT", "/etc/company.pem")
    options = pip_secrets(pip_conf.parent)
    assert options[0] == "--secret=id=ca,src=/etc/company.pem"
    assert _settings(pip_conf) == {"cert": "/run/secrets/ca"}


def _settings(path: Path) -> dict[str, str]:
    config = configparser.RawConfigParser()
    config.read(path)
    return dict(config["global"])
