"""What the person in front of the demo sees: headings, the commands that they could type, and their output."""

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
    """Print what comes next, how long the demo has taken so far, and about how long the rest takes.

    Args:
        text: what comes next.
        position: where this is in the demo, e.g. `2/9`.
    """
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    times = [f"{time.monotonic() - _BEGUN:.0f} s since the start", progress.left()]
    print(f"\n{bold}==> [{position}] {text}{plain}  ({', '.join(filter(None, times))})", flush=True)


class Terminal:
    """Runs commands as a person would type them, on one cluster and in one namespace."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.folders = (Path(sys.executable).parent, connection.bin_dir)
        self.kubeconfig = connection.kubeconfig
        self.namespace = namespace

    def run(self, *words: str | Path) -> None:
        """Show the command, then run it with its output on the screen.

        Raises:
            ClusterError: it failed.
        """
        command = [_short(word) for word in words]
        print(f"$ {shlex.join(command)}", flush=True)
        begun = time.monotonic()
        done = subprocess.run(command, env=self.environment(), cwd=_ROOT, check=False)
        if done.returncode:
            raise ClusterError(f"`{shlex.join(command)}` ended with exit code {done.returncode}", hint="see above")
        print(f"{time.monotonic() - begun:7.1f} s", flush=True)

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([*map(str, self.folders), os.environ.get("PATH", "")])
        return os.environ | {"KUBECONFIG": str(self.kubeconfig), "PATH": path, "PYTHONUNBUFFERED": "1"}

    def exports(self) -> str:
        """What a person types to be where the demo is."""
        path = os.pathsep.join(map(str, self.folders))
        return f"export KUBECONFIG={shlex.quote(str(self.kubeconfig))} PATH={shlex.quote(path)}:$PATH"


def _short(word: str | Path) -> str:
    """A path of the project as one types it there."""
    return str(word.relative_to(_ROOT)) if isinstance(word, Path) and word.is_relative_to(_ROOT) else str(word)
