"""kubectl, untouched by the user's own settings for it."""

import os
import subprocess
from pathlib import Path


def run_kubectl(
    program: Path,
    kubeconfig: Path,
    *arguments: str,
    input: str | None = None,  # noqa: A002 - as subprocess.run calls it
    check: bool = True,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run it with a kubeconfig, beside which it keeps what it knows of the API.

    Args:
        timeout: Seconds; None: as long as it takes.

    Raises:
        subprocess.CalledProcessError: It failed, and `check` is set; with its message.
        subprocess.TimeoutExpired: It took longer.
    """
    settings = [f"--kubeconfig={kubeconfig}", f"--cache-dir={kubeconfig.parent}/kubectl"]
    answer = subprocess.run(
        [program, *settings, *arguments],
        env=os.environ | {"KUBERC": "off"},
        input=input,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if check and answer.returncode:
        error = subprocess.CalledProcessError(answer.returncode, answer.args)
        error.add_note(answer.stderr)
        raise error
    return answer
