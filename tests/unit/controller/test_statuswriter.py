"""The difference between two statuses as a merge patch."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.controller.reconcile.statuswriter import _event, merge_patch
from componentrun.core.lifecycle import status as core_status
from componentrun.core.lifecycle.actions import KubernetesEvent
from componentrun.errors import PlatformError, Reason
from componentrun.process.kubernetes.errors import ConflictError, KubeError, UnavailableError
from tests.fakekube.patches import merge
from tests.unit.controller.fakekube import NAMESPACE
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.core.make import make_run

VALUES = st.recursive(
    st.integers(0, 3) | st.booleans() | st.text("ab", max_size=2) | st.lists(st.integers(0, 2), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@pytest.mark.parametrize(
    ("current", "wanted", "patch"),
    [
        ({}, {"phase": "Pending"}, {"phase": "Pending"}),
        ({"phase": "Pending"}, {"phase": "Pending"}, {}),
        ({"message": "old"}, {}, {"message": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"list": [1, 2]}, {"list": [1]}, {"list": [1]}),
    ],
)
def test_only_what_changes_is_sent(current: dict[str, Any], wanted: dict[str, Any], patch: dict[str, Any]) -> None:
    assert merge_patch(current, wanted) == patch


@given(DOCUMENTS, DOCUMENTS)
def test_applied_it_gives_what_was_wanted(current: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert merge(current, merge_patch(current, wanted)) == wanted


@given(DOCUMENTS)
def test_nothing_is_sent_where_nothing_changed(document: dict[str, Any]) -> None:
    assert merge_patch(document, document) == {}


@pytest.mark.parametrize("letter", ["a", "ž", "語", "🙂"])
def test_an_event_is_no_longer_than_the_api_server_takes(letter: str) -> None:
    """It counts bytes."""
    body = _event(make_run(), KubernetesEvent("Warning", "UserError", letter * 1024), "operator-1")
    assert 996 < len(body["note"].encode()) <= 1024
    assert set(body["note"]) == {letter}


STATUS_WRITES = 24


@pytest.mark.parametrize("at", range(1, STATUS_WRITES))
@pytest.mark.parametrize("answer", ["lose_at", "repeat_at"])
@pytest.mark.parametrize("unread", [(), (UnavailableError("away"),), (UnavailableError("away"),) * 3])
async def test_a_write_whose_answer_was_lost_is_counted_and_told_once(
    at: int, answer: str, unread: tuple[KubeError, ...]
) -> None:
    """Whether the run can be read behind it at once or only later; the component fails, which is told."""
    world = World()
    world.exit_code = 1
    world.add_run()
    setattr(world.writes, answer, at)
    world.kube.unread = unread
    operator = FakeOperator(world)
    await operator.live(40)
    assert world.phase() == "Failed"
    text = operator.metrics.render().decode()
    assert 'componentrun_results_total{component="image",reason="UserError"} 1.0' in text
    assert 'componentrun_phase_duration_seconds_count{phase="Running"} 1.0' in text
    assert [event["reason"] for event in world.kube.of("events")] == ["UserError"]


async def test_there_is_no_write_after_which_no_answer_was_lost() -> None:
    world = World()
    world.exit_code = 1
    world.add_run()
    await FakeOperator(world).live(40)
    assert world.writes.count < STATUS_WRITES


async def test_a_write_without_an_answer_that_was_never_done_is_not_counted() -> None:
    """Nor is it taken for done where somebody else changes the run."""
    world = World()
    world.add_run()
    world.kube.refusals["patch", "componentruns"] = [UnavailableError("no answer")]
    operator = FakeOperator(world)
    await operator.start()
    await operator.work()
    world.kube.change("componentruns", "load", {"spec": {"cancel": True}})
    await operator.work()
    await operator.live(10)
    assert world.phase() == "Cancelled"
    text = operator.metrics.render().decode()
    assert 'componentrun_results_total{component="image",reason="Cancelled"} 1.0' in text
    assert not operator.reconciler._writer._unconfirmed


async def test_a_run_that_is_gone_is_waited_for_no_longer() -> None:
    world = World()
    world.add_run()
    world.kube.refusals["patch", "componentruns"] = [UnavailableError("no answer")]
    operator = FakeOperator(world)
    await operator.start()
    await operator.work()
    assert operator.reconciler._writer._unconfirmed
    world.kube.remove("componentruns", NAMESPACE, "load")
    await operator.work()
    assert not operator.reconciler._writer._unconfirmed


async def test_an_earlier_write_that_was_done_is_not_taken_for_a_later_one() -> None:
    """What was decided since goes into the status before anything else is done about it."""
    world = World()
    key = world.add_run()
    operator = FakeOperator(world)
    await operator.start()
    writer, run = operator.reconciler._writer, operator.caches.runs.get(key)
    assert run is not None
    first = core_status.suspended(run, world.now)
    second = core_status.start_failed(run, PlatformError("no", Reason.INTERNAL), limits=world.limits, now=world.now)
    world.kube.unread = (UnavailableError("away"),)
    world.writes.lose_at = world.writes.count + 1
    with pytest.raises(UnavailableError):
        await writer.write(run, first)
    conflict = ConflictError("changed", 409)
    conflict.may_be_done = True
    world.kube.refusals["patch", "componentruns"] = [conflict]
    with pytest.raises(ConflictError):
        await writer.write(run, second)
    await operator.reconciler.refresh(key)
    await writer.settle(key, operator.caches.runs.get(key))
    assert not writer._unconfirmed
    assert world.phase() == "Suspended"
    assert "componentrun_results_total{" not in operator.metrics.render().decode()
