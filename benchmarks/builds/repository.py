"""The git repository of a component that reports its start and then imports its packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.builds.wheels import PACKAGES
from tests.integration.builder import repositories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dulwich.repo import Repo

__all__ = ["commit", "files_of"]

_MODULES: Final = tuple(name.replace("-", "_") for name in PACKAGES)
_PROGRAM: Final = """\
import importlib
import socket
import sys

CHANGE = "{change}"
host, port, run = sys.argv[1:]
with socket.create_connection((host, int(port)), 10) as connection:
    connection.sendall(run.encode() + b"\\n")
for name in "{modules}".split():
    importlib.import_module(name)
"""


def files_of(change: str, requirements: Sequence[str]) -> dict[str, str]:
    """Files of the component.

    Args:
        change: a text in the program.
        requirements: packages that it needs; empty: none.
    """
    modules = " ".join(_MODULES if requirements else ())
    files = {"main.py": _PROGRAM.format(change=change, modules=modules)}
    return files | ({"requirements.txt": "".join(f"{item}\n" for item in requirements)} if requirements else {})


def commit(repository: Repo, files: dict[str, str]) -> None:
    """Commit the files to the branch `main`."""
    repositories.commit(repository, {name.encode(): text.encode() for name, text in files.items()})
