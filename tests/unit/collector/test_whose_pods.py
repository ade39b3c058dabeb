"""Which pods are a run's: a label is whatever its maker says, a namespace is not."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.collector.registry import PodTarget, Registry
from componentrun.collector.state import RunState
from tests.unit.collector.runs import UID, a_run, raw_pod


@pytest.mark.parametrize(("namespace", "known"), [("team", True), ("another", False)])
async def test_a_pod_of_another_namespace_is_none_of_the_runs_whatever_its_labels_say(
    namespace: str, known: bool
) -> None:
    nothing: Any = None
    registry = Registry(nothing)
    state = registry._states[UID] = RunState(a_run())
    pod = raw_pod()
    pod["metadata"]["namespace"] = namespace
    PodTarget(registry).changed(pod)
    assert bool(state.pods) == known
