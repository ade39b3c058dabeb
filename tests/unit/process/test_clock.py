"""The time, where this machine's clock is not the API servers', or one of them has a clock of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.lease.clock import Readings
from componentrun.process.kubernetes.clock import ApiClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.core.lease.clock import Agreement

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NEAR = 5.0 + 2.5
"""Seconds by which the corrected time may be off: less than 5 is not corrected, and a reading has a width."""


class Here:
    """A machine's clock and a stop watch that a test sets. The true time begins at noon."""

    def __init__(self, wrong: float = 0.0) -> None:
        self.wrong = wrong
        self.ticks = 0.0
        self.clock = ApiClock(lambda: self.truth + timedelta(seconds=self.wrong), lambda: self.ticks)

    @property
    def truth(self) -> datetime:
        return NOON + timedelta(seconds=self.ticks)

    @property
    def off(self) -> float:
        """Seconds by which the operator is ahead of the true time: above 0 runs end early, below late."""
        return (self.clock.now() - self.truth).total_seconds()

    def hear(self, ahead: float = 0.0, source: str = "1", *, took: float = 0.01) -> None:
        """An answer of an API server whose clock is so much ahead of the true time."""
        asked_at = self.ticks
        self.ticks += took
        self.clock.answered(format_datetime(self.truth + timedelta(seconds=ahead), usegmt=True), asked_at, source)

    def live(self, seconds: float, servers: Sequence[float]) -> float:
        """Hear all servers in turn for so long; the most that the operator was ahead of the true time."""
        until, most = self.ticks + seconds, self.off
        while self.ticks < until:
            for number, ahead in enumerate(servers):
                self.hear(ahead, str(number))
                most = max(most, self.off)
            self.ticks += 2
        return most


@pytest.mark.parametrize("seconds", [-600, -60, 60, 600])
def test_a_clock_that_is_wrong_is_corrected(seconds: int) -> None:
    here = Here(seconds)
    here.live(15, [0])
    assert abs(here.off) <= 2


@pytest.mark.parametrize("seconds", [60, 600, 86400])
def test_a_clock_that_is_ahead_is_corrected_by_the_first_answer(seconds: int) -> None:
    here = Here(seconds)
    here.hear()
    assert abs(here.off) <= 2


@pytest.mark.parametrize("seconds", [-4, -1, 0, 1, 4])
def test_a_few_seconds_are_left_alone(seconds: int) -> None:
    here = Here(seconds)
    here.live(60, [0])
    assert here.off == seconds


@pytest.mark.parametrize(("before", "after"), [(600, 0), (-600, 0), (0, 600), (0, -600), (300, -300)])
def test_setting_the_machines_clock_moves_nothing_that_was_learned(before: float, after: float) -> None:
    here = Here(before)
    here.live(60, [0])
    here.wrong = after
    assert abs(here.off) <= NEAR
    here.live(60, [0])
    assert abs(here.off) <= NEAR


def test_an_answer_that_took_long_says_nothing() -> None:
    here = Here()
    here.hear(600, took=20)
    assert here.off == 0


@pytest.mark.parametrize("date", ["", "tomorrow", "2026-01-01T00:00:00Z", "Thu, 01 Jan 2026 12:30:00 -0000"])
def test_a_date_that_is_none_says_nothing(date: str) -> None:
    here = Here()
    here.clock.answered(date, 0.0)
    assert here.off == 0


class TestServersThatDisagree:
    @pytest.mark.parametrize("outlier", [-3600, -600, -30, 30, 600, 3600])
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_one_of_three_that_is_wrong_moves_nothing(self, outlier: float, place: int) -> None:
        """Whichever answers first."""
        servers = [0.0, 0.0]
        servers.insert(place, outlier)
        here = Here()
        assert here.live(1000, servers) <= NEAR
        assert abs(here.off) <= NEAR

    @pytest.mark.parametrize("wrong", [-45, 60, 600])
    @pytest.mark.parametrize("outlier", [-60, -30, 30, 60, 600])
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_the_others_correct_a_clock_of_ours_that_is_wrong(self, wrong: float, outlier: float, place: int) -> None:
        """Backward as soon as they have answered; forward slowly, as they do not agree."""
        servers = [0.0, 0.0]
        servers.insert(place, outlier)
        here = Here(wrong)
        here.live(2, servers)
        assert here.live(60 / 0.1 + 100, servers) <= NEAR
        assert abs(here.off) <= NEAR

    @pytest.mark.parametrize("outlier", [-3600, -600, -30, 30, 600, 3600])
    def test_one_that_is_wrong_and_answers_nearly_always_moves_nothing(self, outlier: float) -> None:
        """The connection that renews the Lease is one server's for days; watches answer every few minutes."""
        here = Here()
        most = 0.0
        for _ in range(15):
            here.hear(0, "watch of runs")
            here.hear(0, "watch of pods")
            most = max(most, here.live(240, [outlier]))
        assert most <= NEAR
        assert abs(here.off) <= NEAR

    @pytest.mark.parametrize("outlier", [600, 3600])
    def test_of_two_the_one_that_ends_runs_later_is_believed(self, outlier: float) -> None:
        here = Here(outlier)  # as wrong as the one that is wrong would make us
        assert here.live(60, [outlier, 0, outlier, 0]) <= outlier
        here = Here(1800 + outlier)
        here.live(60, [0, outlier])
        assert abs(here.off) <= NEAR

    def test_when_the_right_ones_are_gone_the_wrong_one_is_believed_slowly(self) -> None:
        """Times in the cluster are its own from then on; but our clock did not jump."""
        here = Here()
        here.live(600, [0, 0, 600])
        here.live(900, [600])
        assert here.off <= NEAR
        here.live(600, [600])
        assert here.off < 200
        here.live(6000, [600])
        assert abs(here.off - 600) <= NEAR

    def test_the_log_says_so_once_and_the_metric_as_long_as_it_lasts(self, caplog: pytest.LogCaptureFixture) -> None:
        here = Here()
        here.live(300, [0, 0, 600])
        told = [record.message for record in caplog.records]
        assert len(told) == 1
        assert "the clocks of the API servers differ by at least 599 s" in told[0]
        assert 590 < here.clock.spread <= 600
        here.live(1800, [0, 0, 0])
        assert here.clock.spread == 0

    def test_a_balancer_of_requests_gives_a_connection_many_clocks(self) -> None:
        """Then a connection contradicts itself, and the most that it said counts."""
        here = Here()
        most = 0.0
        for turn in range(300):
            here.hear(600 if turn % 3 == 0 else 0, str(turn % 4))
            here.ticks += 2
            most = max(most, here.off)
        assert most <= NEAR


@given(
    wrong=st.sampled_from([-600.0, -3.0, 0.0, 3.0, 600.0]),
    rights=st.integers(2, 5),
    outliers=st.lists(st.floats(-7200, 7200), max_size=4),
    script=st.lists(st.tuples(st.integers(0, 8), st.floats(0.0, 30.0)), max_size=60),
)
def test_while_most_servers_are_right_no_order_of_answers_ends_runs_early(
    wrong: float, rights: int, outliers: list[float], script: list[tuple[int, float]]
) -> None:
    """Every server has answered once, in any order; from then on any of them answers at any time."""
    servers = [*[0.0] * rights, *outliers[: rights - 1]]
    here = Here(wrong)
    for number, ahead in enumerate(reversed(servers)):
        here.hear(ahead, str(len(servers) - 1 - number))
    for number, pause in script:
        place = number % len(servers)
        here.hear(servers[place], str(place))
        here.ticks += pause
        assert here.off <= NEAR


def test_readings_that_confirm_the_estimate_are_not_weighed_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Here()
    here.live(30, [0])
    weighed: list[float] = []
    agreement = Readings.agreement

    def counted(readings: Readings, now: float, own: float) -> Agreement | None:
        weighed.append(now)
        return agreement(readings, now, own)

    monkeypatch.setattr(Readings, "agreement", counted)
    for number in range(50):
        here.hear(0, f"connection {number}")
    assert len(weighed) <= 1
    here.hear(600, "another server")
    assert weighed[-1] == here.ticks, "a reading that contradicts is weighed at once"
