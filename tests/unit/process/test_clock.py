"""The time, where this machine's clock is not the API server's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from componentrun.process.clock import ApiClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Here:
    """A clock and a stop watch that a test sets."""

    def __init__(self) -> None:
        self.time = NOON
        self.ticks = 0.0
        self.clock = ApiClock(lambda: self.time, lambda: self.ticks)

    def hear(self, there: datetime, *, took: float = 0.01) -> None:
        """An answer of an API server whose clock says so."""
        asked_at = self.ticks
        self.ticks += took
        self.clock.answered(format_datetime(there, usegmt=True), asked_at)


@pytest.mark.parametrize("seconds", [-600, -60, 60, 600])
def test_a_clock_that_is_wrong_is_corrected(seconds: int) -> None:
    here = Here()
    here.hear(NOON + timedelta(seconds=seconds))
    assert abs((here.clock.now() - NOON).total_seconds() - seconds) <= 1


@pytest.mark.parametrize("seconds", [-4, -1, 0, 1, 4])
def test_a_few_seconds_are_left_alone(seconds: int) -> None:
    here = Here()
    here.hear(NOON + timedelta(seconds=seconds))
    assert here.clock.now() == NOON


def test_a_clock_that_was_set_right_is_believed_again() -> None:
    here = Here()
    here.hear(NOON + timedelta(minutes=10))
    here.time = NOON + timedelta(minutes=10)
    here.hear(NOON + timedelta(minutes=10))
    assert here.clock.now() == here.time


def test_a_corrected_clock_does_not_move_with_every_answer() -> None:
    here = Here()
    here.hear(NOON + timedelta(minutes=10))
    before = here.clock.now()
    here.hear(NOON + timedelta(minutes=10, seconds=2))
    assert here.clock.now() == before


def test_an_answer_that_took_long_says_nothing() -> None:
    here = Here()
    here.hear(NOON + timedelta(minutes=10), took=20)
    assert here.clock.now() == NOON


@pytest.mark.parametrize("date", ["", "tomorrow", "2026-01-01T00:00:00Z", "Thu, 01 Jan 2026 12:30:00 -0000"])
def test_a_date_that_is_none_says_nothing(date: str) -> None:
    here = Here()
    here.clock.answered(date, 0.0)
    assert here.clock.now() == NOON
