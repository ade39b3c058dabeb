"""One line for each step with the seconds it took, and one now and then while it runs."""

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from dev.cluster import forecast

HEARTBEAT_SECONDS: Final = 20
Detail = Callable[[], tuple[str, float]]
"""Tells how far a step is, in words and as a fraction."""


@dataclass(frozen=True)
class _Step:
    """A step that runs."""

    what: str
    begun: float
    work: str
    detail: Detail | None


_lock = threading.Lock()
_running: dict[int, _Step] = {}
_numbers = itertools.count()
_reporters: list[threading.Thread] = []
_forecast = forecast.Forecast()
_begun = time.monotonic()


def say(text: str) -> None:
    """Print one line to stderr: stdout is for data (`env`, `status`)."""
    print(text, file=sys.stderr, flush=True)


def expect(parts: Iterable[str]) -> None:
    """Name the parts that are to be done, so that the time that is left can be estimated."""
    with _lock:
        _forecast.expect(parts)


def finished(part: str) -> None:
    """Note that a part is done that is no step."""
    with _lock:
        _forecast.progress(part, 1.0)


def left() -> str:
    """The time that is left, as an estimate in words; empty if nobody said what is to be done."""
    with _lock:
        for each in _running.values():
            if each.detail is not None:
                _forecast.progress(each.work, each.detail()[1])
        seconds = _forecast.remaining(time.monotonic() - _begun)
    return "" if seconds is None else forecast.in_words(seconds)


@contextmanager
def step(what: str, *, work: str = "", detail: Detail | None = None) -> Iterator[None]:
    """Say when `what` begins, how it goes on, and how long it took; a failure is said as well and goes on.

    Args:
        what: the step in words.
        work: its name in the table of measured times, if it has one.
        detail: tells how far it is.
    """
    begun = time.monotonic()
    say(f"      ...  {what}")
    with _lock:
        number = next(_numbers)
        _running[number] = _Step(what, begun, work, detail)
        if not _reporters:
            _reporters.append(threading.Thread(target=_report, name="progress", daemon=True))
            _reporters[0].start()
    try:
        yield
    except BaseException:
        say(f"{time.monotonic() - begun:7.1f} s  FAILED: {what}")
        raise
    else:
        with _lock:
            _forecast.progress(work, 1.0)
    finally:
        with _lock:
            del _running[number]
    say(f"{time.monotonic() - begun:7.1f} s  {what}")


def _report() -> None:
    """Say every now and then what runs, as long as this process lives."""
    pause = threading.Event()
    while not pause.wait(HEARTBEAT_SECONDS):
        for line in report():
            say(line)


def report() -> list[str]:
    """The lines that tell how far each step is that has run for a while, and when all is done."""
    now = time.monotonic()
    with _lock:
        steps = [each for each in _running.values() if now - each.begun >= HEARTBEAT_SECONDS]
    if not steps:
        return []
    lines = [f"{now - each.begun:7.1f} s  still {each.what}{_told(each)}" for each in steps]
    time_left = left()
    return [*lines, f"           {time_left} (estimate)"] if time_left else lines


def _told(each: _Step) -> str:
    words = each.detail()[0] if each.detail is not None else ""
    return f": {words}" if words else ""
