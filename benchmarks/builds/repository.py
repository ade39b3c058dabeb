"""The git repository of a component that reports when it started, and then imports its packages."""

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
import time

started = time.time()

import importlib
import os
import socket
import sys

CHANGE = "{change}"


def report():
    address = sys.argv[1], int(sys.argv[2])
    until = time.monotonic() + 30  # the network policy of a pod may be applied after its start
    while True:
        try:
            with socket.create_connection(address, 1) as connection:
                connection.sendall(f"{{os.environ['KBC_RUNID']}} {{started}}\\n".encode())
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


report()
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
