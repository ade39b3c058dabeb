"""The end of a process that has used obstore.

Its threads hand every answer to the interpreter. One that does so while Python is being taken down ends the process by
a signal, after all was done and told: CPython (until 3.13) ends such a thread by unwinding it, which Rust does not
bear. Seen in one of some 300 command lines on a busy machine, exit code 134. So Python is not taken down at all.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["leave", "run"]

_NOT_WRITTEN: Final = 120
"""Python's own exit code where its output could not be written at the end."""


def leave(code: int) -> NoReturn:
    """Write what is still to be written to stdout and stderr, and end the process.

    What was registered by `atexit` is not called, and no thread is waited for.

    Args:
        code: the exit code; 120 in its place if the output can't be written.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:  # ValueError: it was closed
            code = code or _NOT_WRITTEN
            if stream is sys.stdout:
                sys.stderr.write(f"the output was not written: {error}\n")
    os._exit(code)


def run(program: Callable[[], object]) -> NoReturn:
    """Run a program that ends by SystemExit or by returning, and leave with the exit code that Python would give it.

    Raises:
        BaseException: anything else that the program raised.
    """
    try:
        program()
    except SystemExit as end:
        leave(_code(end.code))
    leave(0)


def _code(given: object) -> int:
    """As `sys.exit` takes it: none is 0, and what is no number is a message."""
    if given is None or isinstance(given, int):
        return given or 0
    sys.stderr.write(f"{given}\n")
    return 1
