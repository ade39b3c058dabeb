"""Progress output: one line for each step with its duration, and a regular line while it runs."""

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
"""Returns the progress of a step, in words and as a fraction."""


@dataclass(frozen=True)
class _Step:
    """A running step."""

    title: str
    start: float
    work: str
    detail: Detail | None


_lock = threading.Lock()
_running: dict[int, _Step] = {}
_numbers = itertools.count()
_reporters: list[threading.Thread] = []
_forecast = forecast.Forecast()
_begun = time.monotonic()


def say(text: str) -> None:
    """Print one line to stderr. stdout is for data (`env`, `status`)."""
    print(text, file=sys.stderr, flush=True)


def expect(parts: Iterable[str]) -> None:
    """Announce the parts of the work, so that the remaining time can be estimated."""
    with _lock:
        _forecast.expect(parts)


def finished(part: str) -> None:
    """Mark a part that is not a step as finished."""
    with _lock:
        _forecast.progress(part, 1.0)


def left() -> str:
    """Estimate of the remaining time in words; empty if there is none."""
    with _lock:
        for each in _running.values():
            if each.detail is not None:
                _forecast.progress(each.work, each.detail()[1])
        seconds = _forecast.remaining(time.monotonic() - _begun)
    return "" if seconds is None else forecast.in_words(seconds)


@contextmanager
def step(title: str, *, work: str = "", detail: Detail | None = None) -> Iterator[None]:
    """Print the start, the progress and the duration of a step. A failure is printed and raised again.

    Args:
        title: the step in words.
        work: the step's name in the table of measured times, if it has one.
        detail: returns the progress of the step.
    """
    start = time.monotonic()
    say(f"      ...  {title}")
    with _lock:
        number = next(_numbers)
        _running[number] = _Step(title, start, work, detail)
        if not _reporters:
            _reporters.append(threading.Thread(target=_report, name="progress", daemon=True))
            _reporters[0].start()
    try:
        yield
    except BaseException:
        say(f"{time.monotonic() - start:7.1f} s  FAILED: {title}")
        raise
    else:
        with _lock:
            _forecast.progress(work, 1.0)
    finally:
        with _lock:
            del _running[number]
    say(f"{time.monotonic() - start:7.1f} s  {title}")


def _report() -> None:
    """Print the running steps at regular intervals until this process ends."""
    pause = threading.Event()
    while not pause.wait(HEARTBEAT_SECONDS):
        for line in report():
            say(line)


def report() -> list[str]:
    """Progress lines of all long-running steps, and the estimated remaining time."""
    now = time.monotonic()
    with _lock:
        steps = [each for each in _running.values() if now - each.start >= HEARTBEAT_SECONDS]
    if not steps:
        return []
    lines = [f"{now - each.start:7.1f} s  still {each.title}{_told(each)}" for each in steps]
    time_left = left()
    return [*lines, f"           {time_left} (estimate)"] if time_left else lines


def _told(each: _Step) -> str:
    words = each.detail()[0] if each.detail is not None else ""
    return f": {words}" if words else ""
