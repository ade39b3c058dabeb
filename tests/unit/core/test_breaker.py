"""The circuit breaker by tables, and by random operations against its promises."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from componentrun.core.storages.breaker import Breaker, BreakerSettings, Evidence, Operation

SETTINGS = BreakerSettings(failures=3, first_pause=1.0, longest_pause=8.0)


def run(breaker: Breaker, evidence: Evidence, now: float) -> bool:
    return breaker.end(breaker.begin(now), evidence, now)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(SETTINGS)
    for _ in range(3):
        run(breaker, Evidence.NO_ANSWER, now)
    assert breaker.state == "open"
    return breaker


@pytest.mark.parametrize(
    ("history", "state"),
    [
        ("", "closed"),
        ("ff", "closed"),
        ("fff", "open"),
        ("fafaf", "closed"),
        ("ffaff", "closed"),
        ("fnfnf", "open"),  # what says nothing interrupts no row
        ("nnnn", "closed"),
    ],
)
def test_failures_in_a_row_open_it(history: str, state: str) -> None:
    breaker = Breaker(SETTINGS)
    meaning = {"f": Evidence.NO_ANSWER, "a": Evidence.ANSWERED, "n": Evidence.NOTHING}
    for letter in history:
        run(breaker, meaning[letter], 0.0)
    assert breaker.state == state


def test_while_it_is_open_nothing_is_admitted_until_its_time_has_come_and_then_one_probe() -> None:
    breaker = opened()
    assert not breaker.admits(0.9)
    with pytest.raises(ValueError, match="the breaker is open"):
        breaker.begin(0.9)
    assert breaker.admits(1.0)
    breaker.begin(1.0)
    assert breaker.state == "half-open"
    assert not breaker.admits(100.0)


def test_each_probe_that_fails_doubles_the_pause_up_to_the_longest() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(6):
        assert breaker.retry_at is not None
        pauses.append(breaker.retry_at - now)
        now = breaker.retry_at
        assert run(breaker, Evidence.NO_ANSWER, now) is False
    assert pauses == [1, 2, 4, 8, 8, 8]


def test_a_probe_that_gets_through_closes_it_and_the_next_opening_starts_from_the_first_pause() -> None:
    breaker = opened()
    run(breaker, Evidence.NO_ANSWER, 1.0)
    assert run(breaker, Evidence.ANSWERED, 3.0) is True
    assert breaker.is_fresh
    for _ in range(3):
        run(breaker, Evidence.NO_ANSWER, 10.0)
    assert breaker.retry_at == 11.0


def test_a_probe_that_says_nothing_makes_way_for_the_next_one_at_once() -> None:
    breaker = opened()
    run(breaker, Evidence.NOTHING, 1.0)
    assert breaker.admits(1.0)


@pytest.mark.parametrize("evidence", list(Evidence))
def test_what_began_before_it_opened_says_nothing_about_now(evidence: Evidence) -> None:
    breaker = Breaker(SETTINGS)
    late = [breaker.begin(0.0) for _ in range(5)]
    for operation in late[:3]:
        breaker.end(operation, Evidence.NO_ANSWER, 10.0)
    retry_at = breaker.retry_at
    breaker.end(late[3], evidence, 10.0)
    assert (breaker.state, breaker.retry_at) == ("open", retry_at)
    run(breaker, Evidence.ANSWERED, 11.0)
    breaker.end(late[4], Evidence.NO_ANSWER, 12.0)
    assert breaker.is_fresh


class BreakerUnderAnyOrder(RuleBasedStateMachine):
    """Operations begin whenever they are admitted, and end in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(SETTINGS)
        self.now = 0.0
        self.running: list[Operation] = []

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin(self) -> None:
        if self.breaker.admits(self.now):
            self.running.append(self.breaker.begin(self.now))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), evidence=st.sampled_from(Evidence))
    def end(self, data: st.DataObject, evidence: Evidence) -> None:
        operation = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        before = self.breaker.is_open
        assert self.breaker.end(operation, evidence, self.now) == (before != self.breaker.is_open)

    @invariant()
    def there_is_one_probe_at_most(self) -> None:
        probes = [item for item in self.running if item.is_probe and item.period == self.breaker._period]
        assert len(probes) == (self.breaker.state == "half-open")

    @invariant()
    def it_never_stays_shut_longer_than_the_longest_pause(self) -> None:
        if self.breaker.state == "open":
            assert self.breaker.admits(self.now + SETTINGS.longest_pause)


BreakerUnderAnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBreakerUnderAnyOrder = BreakerUnderAnyOrder.TestCase
