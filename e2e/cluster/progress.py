"""One line for each step, with the seconds it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    """Print one line to stderr: stdout is for data (`env`, `status`)."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say when `what` begins, and how long it took; a failure is said as well and goes on."""
    begun = time.monotonic()
    say(f"      ...  {what}")
    try:
        yield
    except BaseException:
        say(f"{time.monotonic() - begun:7.1f} s  FAILED: {what}")
        raise
    say(f"{time.monotonic() - begun:7.1f} s  {what}")
