"""Whole operators in a cluster that misbehaves, by schedules that are made at random; see the package `simulation`.

`python -m tests.unit.controller.simulation FIRST MINUTES` searches for longer, from a number on.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from componentrun.core.lifecycle import plan
from tests.unit.controller.simulation.schedule import made_from
from tests.unit.controller.simulation.simulator import shrunk, simulate

EXAMPLES = 40 if settings.default is not None and settings.default.derandomize else 1000
"""Those of `make test`, and of `make search`."""


@settings(max_examples=EXAMPLES, phases=(Phase.explicit, Phase.generate), suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_whatever_goes_wrong_every_run_ends_once_and_nothing_is_left(seed: int) -> None:
    schedule = made_from(seed)
    found = simulate(schedule)
    if found.violations:
        small = shrunk(schedule, found)
        log = "\n".join(small.found.log)
        pytest.fail(f"{small.found.violations}\n{small.schedule}\n{log}")


def test_the_same_schedule_comes_to_the_same_end() -> None:
    assert simulate(made_from(27)).log == simulate(made_from(27)).log


def test_an_operator_that_takes_what_no_watch_tells_for_deleted_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation can fail: without the request before a verdict, a pod that lost a label counts as deleted."""
    monkeypatch.setattr(plan, "pod_to_read", lambda _: None)
    assert any(simulate(made_from(seed)).violations for seed in range(115, 200))
