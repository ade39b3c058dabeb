"""Running other programs."""

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
    """Run `command` and return what it printed to stdout.

    Raises:
        ClusterError: it isn't there, failed, or took longer than `timeout` seconds; with what it said.
    """
    words = [str(word) for word in command]
    shown = " ".join(words)
    try:
        done = subprocess.run(
            words, input=stdin, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=timeout
        )
    except FileNotFoundError as error:
        raise ClusterError(f"`{words[0]}` is not there (wanted for `{shown}`)", hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{shown}` did not end within {timeout} s", hint=hint) from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing")[-2000:]
        raise ClusterError(f"`{shown}` ended with {done.returncode} and said: {said}", hint=hint)
    return done.stdout


def succeeds(command: Sequence[str | Path], *, timeout: float = 60) -> bool:
    """Whether `command` is there and ends with 0; for questions, where a no is an answer."""
    words = [str(word) for word in command]
    if shutil.which(words[0]) is None:
        return False
    try:
        return subprocess.run(words, capture_output=True, check=False, timeout=timeout).returncode == 0
    except subprocess.TimeoutExpired:
        return False
