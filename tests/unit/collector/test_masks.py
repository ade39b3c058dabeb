"""Values that a component asks to have hidden: through the worker, in later attempts, and after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from componentrun.api import names
from componentrun.collector.events.journal import Journal
from componentrun.collector.runs.facts import pod_facts
from componentrun.collector.runs.state import RunState
from componentrun.collector.runs.worker import Worker
from componentrun.core.redact.redactor import MARK
from componentrun.storage.events.segments import last_segment
from tests.unit.collector.fakekube import Play
from tests.unit.collector.runs import UID, a_run, container, ended_run, raw_pod
from tests.unit.collector.world import ATTEMPT, COMPONENT_RAN, World, has, log, until, with_pod
from tests.unit.core.secretexamples import PEM_LINES, begin, end

pytestmark = pytest.mark.usefixtures("quick")
VALUE = "correct-horse-battery"


async def test_a_value_that_a_line_asks_to_hide_is_hidden_from_there_on() -> None:
    world = World()
    await world.work(with_pod(world, Play(log("before", f"::add-mask::{VALUE}", f"it is {VALUE}", "after"))))
    found = [event.message for event in await world.events() if event.source == names.COMPONENT]
    assert found == ["before", f"::add-mask::{MARK}", f"it is {MARK}", "after"]
    last = await last_segment(world.stores.store, UID)
    assert last is not None
    assert VALUE not in json.dumps(last.checkpoint)
    assert last.checkpoint["masks"]


async def test_values_that_are_not_hidden_are_told_once_for_each_cause() -> None:
    world = World()
    lines = ("::add-mask::abc", "::add-mask::abcd", "::add-mask::password", "it is abc")
    await world.work(with_pod(world, Play(log(*lines))))
    warnings = [event.message for event in await world.events() if event.type == "warn"]
    assert len(warnings) == 2
    assert any("fewer than 6 characters" in message for message in warnings)
    assert any("a word that is in every log" in message for message in warnings)
    assert world.reported()["message"] == ""


async def test_a_structured_line_may_ask_as_well() -> None:
    world = World()
    lines = (
        json.dumps({"message": f"::add-mask::{VALUE}", "level": "info"}),
        json.dumps({"message": "m", "is": VALUE}),
    )
    await world.work(with_pod(world, Play(log(*lines))))
    found = [event for event in await world.events() if event.source == names.COMPONENT]
    assert [event.message for event in found] == [f"::add-mask::{MARK}", "m"]
    assert found[1].params == {"is": MARK}


async def interrupted(world: World, *lines: str) -> RunState:
    """A collector has written these lines, and was killed then."""
    world.kube.add_secret("clean-1", [])
    world.kube.logs.plays[names.COMPONENT] = [Play(log(*lines), hang=True)]
    state = RunState(a_run(phase="Running", attempts=[ATTEMPT]))
    state.pod_changed(pod_facts(raw_pod(container(names.COMPONENT, "running"))))
    task = asyncio.create_task(world.work(state))
    shown = lines[-1].replace(VALUE, MARK) if VALUE in lines[-1] else lines[-1]
    await until(lambda: has(world, shown))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return state


async def test_the_next_collector_hides_the_value_though_it_never_read_the_line_that_said_so() -> None:
    world = World()
    await interrupted(world, "before", f"::add-mask::{VALUE}", "quiet")
    later = Play(log(f"it is {VALUE}", "after", begin=1_000_000_000))
    world.kube.logs.plays[names.COMPONENT] = [later]
    state = RunState(ended_run(attempts=[ATTEMPT]))
    state.pod_changed(pod_facts(raw_pod(COMPONENT_RAN, phase="Succeeded")))
    await world.work(state)
    messages = await world.messages()
    assert f"it is {MARK}" in messages
    assert not any(VALUE in message for message in messages)


async def test_a_later_attempt_waits_for_the_secret_of_the_one_that_asked() -> None:
    """The collector was killed between two attempts: only the first pod's Secret opens the checkpoint."""
    world = World()
    await interrupted(world, "before", f"::add-mask::{VALUE}", "quiet")
    first = ATTEMPT | {"completionTime": "2026-11-24T07:00:09Z", "reason": "Evicted", "message": "The node ran short."}
    second = ATTEMPT | {"number": 2, "pod": "clean-2", "podUID": "pod-2"}
    world.kube.add_secret("clean-2", ["another"])
    world.kube.logs.plays[names.COMPONENT] = [Play(log(f"it is {VALUE}", begin=1_000_000_000))]
    state = RunState(ended_run(attempts=[first, second]))
    late = raw_pod(COMPONENT_RAN, phase="Succeeded", uid="pod-2")
    late["metadata"]["name"] = "clean-2"
    state.pod_changed(pod_facts(late))
    state.pod_changed(pod_facts(raw_pod(COMPONENT_RAN, phase="Failed")))
    await world.work(state)
    assert f"it is {MARK}" in await world.messages()
    assert not any(VALUE in message for message in await world.messages())


async def test_lines_are_withheld_where_the_values_to_hide_cannot_be_known_any_more() -> None:
    world = World()
    await interrupted(world, "before", f"::add-mask::{VALUE}", "quiet")
    world.kube.server.remove("secrets", "team", "clean-1")
    second = ATTEMPT | {"number": 2, "pod": "clean-2", "podUID": "pod-2"}
    world.kube.add_secret("clean-2", ["another"])
    world.kube.logs.plays[names.COMPONENT] = [Play(log(f"it is {VALUE}", begin=1_000_000_000))]
    state = RunState(ended_run(attempts=[second]))
    raw = raw_pod(COMPONENT_RAN, phase="Succeeded", uid="pod-2")
    raw["metadata"]["name"] = "clean-2"
    state.pod_changed(pod_facts(raw))
    await world.work(state)
    assert not any(VALUE in message for message in await world.messages())
    assert "asked to redact values before this collector was started" in world.reported()["message"]


async def ended_and_interrupted(world: World, *lines: str) -> None:
    """A collector has read a component to its end and was killed before the run ended."""
    world.kube.add_secret("clean-1", [])
    world.kube.logs.plays[names.COMPONENT] = [Play(log(*lines))]
    state = RunState(a_run(phase="Running", attempts=[ATTEMPT]))
    state.pod_changed(pod_facts(raw_pod(COMPONENT_RAN)))
    task = asyncio.create_task(world.work(state))
    await until(lambda: has(world, lines[-1]))
    phases = [{"phase": "Publishing", "startTime": "2026-11-24T07:00:09Z"}]
    state.run_changed(a_run(phase="Publishing", attempts=[ATTEMPT], phases=phases))
    state.news.set()
    await until(lambda: has(world, "output is complete; tables are being published"))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


FAILED = {
    "phase": "Failed",
    "result": "Error",
    "reason": "UserError",
    "message": f"The component ended with exit code 1: it is {VALUE}",
    "warnings": [f"there is {VALUE}"],
}


@pytest.mark.parametrize("is_pod_known", [True, False])
async def test_the_result_hides_the_value_though_the_log_was_read_before_the_collector_was_started(
    *, is_pod_known: bool
) -> None:
    world = World()
    await ended_and_interrupted(world, f"::add-mask::{VALUE}", "quiet")
    state = RunState(ended_run(attempts=[ATTEMPT], **FAILED))
    pod = raw_pod(COMPONENT_RAN, phase="Succeeded")
    world.kube.server.put("pods", pod)
    if is_pod_known:
        state.pod_changed(pod_facts(pod))
    await world.work(state)
    result = (await world.events())[-1]
    assert f"exit code 1: it is {MARK}" in result.message
    assert result.params["warnings"] == [f"there is {MARK}"]


async def test_the_result_shows_no_words_of_the_component_where_the_values_to_hide_are_not_known_any_more() -> None:
    world = World()
    await ended_and_interrupted(world, f"::add-mask::{VALUE}", "quiet")
    world.kube.server.remove("secrets", "team", "clean-1")
    first = ATTEMPT | {"completionTime": "2026-11-24T07:00:09Z", "reason": "Evicted", "message": f"it was {VALUE}"}
    second = ATTEMPT | {"number": 2, "pod": "clean-2", "podUID": "pod-2"}
    await world.work(RunState(ended_run(attempts=[first, second], **FAILED)))
    events = await world.events()
    assert VALUE not in str(events)
    assert "the message is withheld" in events[-1].message
    assert any("attempt 1 ended: the message is withheld" in event.message for event in events)


async def test_a_collector_that_ends_before_it_knows_the_values_leaves_the_result_to_the_next_one() -> None:
    world = World()
    await ended_and_interrupted(world, f"::add-mask::{VALUE}", "quiet")
    secret = world.kube.server.remove("secrets", "team", "clean-1")
    before = await world.messages()
    state = RunState(ended_run(attempts=[ATTEMPT], **FAILED))
    state.pod_changed(pod_facts(raw_pod(COMPONENT_RAN, phase="Succeeded")))
    worker = Worker(state, world.services)
    worker.stop()
    async with asyncio.timeout(5):
        await worker.work()
    assert await world.messages() == before
    world.kube.server.put("secrets", secret)
    await world.work(state)
    assert f"exit code 1: it is {MARK}" in (await world.messages())[-1]


async def test_the_next_collector_goes_on_within_a_private_key() -> None:
    world = World()
    await interrupted(world, "before", begin(), PEM_LINES[0], "in between")
    world.kube.logs.plays[names.COMPONENT] = [Play(log(*PEM_LINES[1:4], end(), "after", begin=1_000_000_000))]
    state = RunState(ended_run(attempts=[ATTEMPT]))
    state.pod_changed(pod_facts(raw_pod(COMPONENT_RAN, phase="Succeeded")))
    await world.work(state)
    messages = await world.messages()
    assert not any(line in message for line in PEM_LINES for message in messages)
    assert messages.count(MARK) == 4
    assert {end(), "after"} <= set(messages)


def test_a_checkpoint_of_an_earlier_release_knows_of_no_masks() -> None:
    checkpoint = {name: value for name, value in Journal(a_run()).checkpoint().items() if name not in {"masks", "keys"}}
    journal = Journal.resume(a_run(), 5, checkpoint)
    assert journal.masks.to_json() == {}
    assert journal.key_lines("any") == 0
