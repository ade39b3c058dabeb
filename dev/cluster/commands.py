"""Run other programs."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from dev.cluster.errors import ClusterError


def run(
    command: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    hint: str = "",
    timeout: float | None = 120,
) -> str:
    """Run `command` and return its stdout.

    Raises:
        ClusterError: the command was not found, failed, or took longer than `timeout` seconds. Contains its output.
    """
    words = [str(word) for word in command]
    command_line = " ".join(words)
    try:
        process = subprocess.run(
            words, input=stdin, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=timeout
        )
    except FileNotFoundError as error:
        raise ClusterError(f"`{words[0]}` is missing (needed for `{command_line}`)", hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{command_line}` did not end within {timeout} s", hint=hint) from error
    if process.returncode:
        output = (process.stderr.strip() or process.stdout.strip() or "nothing")[-2000:]
        raise ClusterError(f"`{command_line}` ended with {process.returncode} and said: {output}", hint=hint)
    return process.stdout


def succeeds(command: Sequence[str | Path], *, timeout: float = 60) -> bool:
    """Whether `command` exists and exits with 0. For checks that may fail without being an error."""
    words = [str(word) for word in command]
    if shutil.which(words[0]) is None:
        return False
    try:
        return subprocess.run(words, capture_output=True, check=False, timeout=timeout).returncode == 0
    except subprocess.TimeoutExpired:
        return False
