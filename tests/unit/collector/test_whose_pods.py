"""Which pods are a run's: a label is whatever its maker says, a namespace is not."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.api import names
from componentrun.collector.runs.registry import PodTarget, Registry
from componentrun.collector.runs.state import RunState
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


@pytest.mark.parametrize(("name", "known"), [("clean-1", True), ("clean-1-debug", False)])
async def test_a_copy_of_a_runs_pod_that_bears_its_labels_is_none_of_its_pods(name: str, known: bool) -> None:
    """`kubectl debug --copy-to --keep-labels`: its lines are not the run's, and nobody waits for its end."""
    nothing: Any = None
    registry = Registry(nothing)
    state = registry._states[UID] = RunState(a_run())
    pod = raw_pod()
    pod["metadata"]["name"] = name
    pod["metadata"]["labels"][names.ATTEMPT_LABEL] = "1"
    PodTarget(registry).changed(pod)
    assert bool(state.pods) == known
