"""One run that prints without end beside others: they get their turn, and memory has a bound."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Self

import pytest

from componentrun.api import names
from componentrun.collector.events.budget import MemoryBudget
from componentrun.collector.events.journal import Journal
from componentrun.collector.readers.api.lines import SECOND
from componentrun.collector.readers.sink import Inbox
from componentrun.collector.runs import secret as runsecret
from componentrun.collector.runs import worker
from componentrun.collector.runs.facts import pod_facts, run_facts
from componentrun.collector.runs.state import RunState
from componentrun.collector.runs.worker import Worker
from componentrun.collector.settings import Settings
from componentrun.storage.events.reader import read_events
from tests.unit.collector.node import line
from tests.unit.collector.runs import ENDED, container, raw_pod, raw_run
from tests.unit.collector.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

T0 = 1_795_506_393 * SECOND
CHUNK_LINES = 100
NOISE = b"x" * 1_000


class Endless:
    """A log that goes on without a pause, as a socket that is always readable, until it is stopped."""

    def __init__(self) -> None:
        self.stopped = False
        self.lines = 0

    async def iter_any(self) -> AsyncIterator[bytes]:
        while not self.stopped:
            begin, self.lines = self.lines, self.lines + CHUNK_LINES
            yield b"".join(line(T0 + at * 1000, NOISE) + b"\n" for at in range(begin, self.lines))


class Once:
    """A log of one line."""

    def __init__(self, text: str) -> None:
        self.text = text

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield line(T0, self.text.encode()) + b"\n"


def state_of(name: str) -> RunState:
    """A run whose component runs."""
    run, uid = raw_run(phase="Running", startTime=ENDED["startTime"], phases=ENDED["phases"][:2]), f"uid-{name}"
    attempt = {"number": 1, "pod": f"{name}-1", "podUID": f"pod-{name}", "startTime": "2026-11-24T07:00:00Z"}
    run["status"]["attempts"] = [attempt]
    run["metadata"] |= {"name": name, "uid": uid}
    pod = raw_pod(container(names.COMPONENT, "running"), uid=f"pod-{name}")
    pod["metadata"] |= {"name": f"{name}-1"}
    pod["metadata"]["labels"] |= {names.RUN_LABEL: name, names.RUN_UID_LABEL: uid}
    state = RunState(run_facts(run))
    state.pod_changed(pod_facts(pod))
    return state


def end(state: RunState) -> None:
    run = raw_run(**ENDED, attempts=[{"number": 1, "pod": f"{state.run.name}-1", "startTime": ENDED["startTime"]}])
    run["metadata"] |= {"name": state.run.name, "uid": state.run.uid}
    pod = raw_pod(container(names.COMPONENT, "terminated", exitCode=0), phase="Succeeded", uid=f"pod-{state.run.name}")
    pod["metadata"] |= {"name": f"{state.run.name}-1"}
    state.pod_changed(pod_facts(pod))
    state.run_changed(run_facts(run))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_TICK", 0.02)
    monkeypatch.setattr(runsecret, "_FIRST_PAUSE", 0.001)


@pytest.mark.parametrize("run_mib", [1024, 3], ids=["within its limits", "beyond them"])
async def test_quiet_runs_are_delivered_while_another_prints_without_end(run_mib: int) -> None:
    """Nothing is timed: the noise ends only when all others are delivered, so that a test without fairness hangs."""
    world = World(
        settings=Settings(collector_segment_seconds=0.05, events_wait_seconds=0.25, collector_run_mib=run_mib)
    )
    noise, kube = Endless(), world.kube

    def log(_namespace: str, pod: str, _name: str, **_: Any) -> Any:
        return Opened(noise if pod == "noisy-1" else Once(pod))

    kube.log = log  # type: ignore[method-assign]
    quiet = [state_of(f"quiet{number}") for number in range(10)]
    noisy = state_of("noisy")
    for state in (*quiet, noisy):
        kube.add_secret(f"{state.run.name}-1", ["correct-horse-battery"])
    async with asyncio.timeout(60):
        work = asyncio.create_task(Worker(noisy, world.services).work())
        await until(lambda: noise.lines > 0)
        workers = [asyncio.create_task(Worker(state, world.services).work()) for state in quiet]
        for state in quiet:
            end(state)
        await asyncio.gather(*workers)
        await until(lambda: noise.lines >= 5_000)
        noise.stopped = True
        end(noisy)
        await work
    for state in quiet:
        assert f"{state.run.name}-1" in [
            event.message async for event in read_events(world.stores.store, state.run.uid)
        ]
    printed = [event async for event in read_events(world.stores.store, noisy.run.uid)]
    kept = [event for event in printed if event.source == names.COMPONENT]
    if run_mib == 1024:
        assert len(kept) == noise.lines
    else:
        assert len(kept) == math.ceil(3 * 2**20 / len(NOISE))
        skipped = noise.lines - len(kept)
        assert f"{skipped} lines of {skipped * len(NOISE):,} bytes were left out" in printed[-2].message


async def until(check: Callable[[], bool]) -> None:
    while not check():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0)


class Opened:
    """An open answer; as a context manager, as the client gives it."""

    def __init__(self, content: Endless | Once) -> None:
        self.content = content

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass


def test_each_run_holds_an_equal_part_and_all_together_no_more_than_there_is() -> None:
    shares = MemoryBudget(total=8 * 2**20)
    inboxes = [Inbox(Journal(state_of(f"r{n}").run), asyncio.Event(), World().metrics, shares) for n in range(16)]
    inboxes[0].added()
    assert inboxes[0].journal.room == 2**20
    for inbox in inboxes:
        inbox.added()
        inbox.added()
    assert shares.each == 2**19
    inboxes[0].added()
    assert inboxes[0].journal.room == 2**19
    for inbox in inboxes[2:]:
        inbox.emptied()
    inboxes[1].close()
    inboxes[0].added()
    assert inboxes[0].journal.room == 2**20
    assert MemoryBudget(total=1).enter("anybody") == 2**15


def test_written_segments_that_are_kept_have_a_quarter_of_the_budget_and_the_rest_is_shared() -> None:
    shares = MemoryBudget(total=8 * 2**20)
    assert shares.keep(2**20)
    assert shares.keep(2**20)
    assert not shares.keep(1)
    assert [shares.enter(number) for number in range(8)][-1] == 6 * 2**20 // 8
    shares.drop(2**20)
    assert shares.keep(2**19)
