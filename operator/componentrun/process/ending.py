"""Exit of a process that has used obstore.

Threads of obstore deliver responses to the interpreter. If one does so during finalization, the process is aborted
after all work is done: CPython before 3.13 ends such a thread by unwinding it, which Rust does not survive. Seen in one
of some 300 commands on a busy machine, exit code 134. So the interpreter is not finalized.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["leave", "run"]

_NOT_WRITTEN: Final = 120
"""Python's exit code if output can't be written at exit."""


def leave(code: int) -> NoReturn:
    """Flush stdout and stderr, and end the process.

    Functions registered with `atexit` are not called, and threads are not joined.

    Args:
        code: the exit code; replaced by 120 if it is 0 and the output can't be written.
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
    """Run a program that returns or raises SystemExit, and exit with the code that Python would use.

    Raises:
        BaseException: any other exception of the program.
    """
    try:
        program()
    except SystemExit as end:
        leave(_code(end.code))
    leave(0)


def _code(given: object) -> int:
    """As in `sys.exit`: None is 0, and anything but a number is printed."""
    if given is None or isinstance(given, int):
        return given or 0
    sys.stderr.write(f"{given}\n")
    return 1
