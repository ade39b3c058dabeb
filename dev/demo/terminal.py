"""Output of the demo: headings, commands as a user would type them, and their output."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from dev.cluster import progress
from dev.cluster.connection import Connection
from dev.cluster.errors import ClusterError

_BEGUN = time.monotonic()
_ROOT = Path(__file__).resolve().parents[2]


def heading(text: str, position: str) -> None:
    """Print the next step, the elapsed time and the estimated remaining time.

    Args:
        text: the next step.
        position: the step's number, e.g. `2/9`.
    """
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    times = [f"{time.monotonic() - _BEGUN:.0f} s since the start", progress.left()]
    print(f"\n{bold}==> [{position}] {text}{plain}  ({', '.join(filter(None, times))})", flush=True)


class Terminal:
    """Runs commands as a user would type them, on one cluster and in one namespace."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.folders = (Path(sys.executable).parent, connection.bin_dir)
        self.kubeconfig = connection.kubeconfig
        self.namespace = namespace

    def run(self, *words: str | Path) -> None:
        """Show the command, then run it with its output on the screen.

        Raises:
            ClusterError: the command failed.
        """
        command = [_short(word) for word in words]
        print(f"$ {shlex.join(command)}", flush=True)
        start = time.monotonic()
        process = subprocess.run(command, env=self.environment(), cwd=_ROOT, check=False)
        if process.returncode:
            raise ClusterError(f"`{shlex.join(command)}` ended with exit code {process.returncode}", hint="see above")
        print(f"{time.monotonic() - start:7.1f} s", flush=True)

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([*map(str, self.folders), os.environ.get("PATH", "")])
        return os.environ | {"KUBECONFIG": str(self.kubeconfig), "PATH": path, "PYTHONUNBUFFERED": "1"}

    def exports(self) -> str:
        """Shell commands that give a user the demo's environment."""
        path = os.pathsep.join(map(str, self.folders))
        return f"export KUBECONFIG={shlex.quote(str(self.kubeconfig))} PATH={shlex.quote(path)}:$PATH"


def _short(word: str | Path) -> str:
    """A word of a command; paths in the project are relative to its root."""
    return str(word.relative_to(_ROOT)) if isinstance(word, Path) and word.is_relative_to(_ROOT) else str(word)
