"""Collector and kubelet are killed repeatedly at random moments: no line is lost or duplicated."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from componentrun.storage.events.segments import list_events
from dev.cluster import connection, own
from dev.cluster.host import processes
from tests.integration.collector.lab import BOTH_WAYS, PRINTS_ON, Collector, printed, wait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.collector.lab import Lab

pytestmark = [pytest.mark.cluster, pytest.mark.store, pytest.mark.disruptive]

KILLS = 25
"""Number of kills for each way to read logs."""
RUNS = 3
RATE = 250
"""Each run prints so many lines a second on both streams, until all kills are over."""
SIZES = {"api": 60, "node": 2_000}
"""Length of a line. The API serves only the newest file of a log, so lines that are rotated away before they are read
are lost (and reported as lost). With `api`, the log therefore stays below the 10 MiB at which a kubelet rotates it.
With `node`, it grows to that in 20 s."""
KUBELET_DIES_AT = {8, 18}
MERGE_KILLS = 4
"""Number of further kills, while segments are merged and not deleted."""


@pytest.fixture
def collector(lab: Lab, tmp_path: Path) -> Iterator[Collector]:
    made = Collector(lab, tmp_path / "collector.log", is_forked=True)
    yield made
    made.leave()


@pytest.fixture(autouse=True)
def _only_our_own() -> None:
    if not connection.load().own:
        pytest.skip("the kubelet of a stranger's cluster is left alone")


def restart_kubelet() -> None:
    record = processes.find(next(part.pid_file for part in own.plan().all if part.name == "kubelet"))
    assert record is not None
    processes.kill_all([record.pid])
    own.up()


def kill_again_and_again(collector: Collector) -> int:
    """Kill the collector at random moments: every fifth time before it receives anything, else mostly while it works.

    Returns the number of kills after it had written segments.
    """
    moments = random.Random(28)  # noqa: S311 - reproducible moments, though they hit different states
    worked = 0
    for number in range(KILLS):
        collector.start()
        if number % 5:
            wait("the collector hears the watches", lambda: collector.get("/readyz")[0] == 200)
        time.sleep(moments.uniform(0.0, 1.0 if number % 5 else 0.2))
        if number in KUBELET_DIES_AT:
            restart_kubelet()
        worked += collector.metric("componentrun_collector_segments_total") > 0
        collector.end(signal.SIGKILL)
    return worked


async def kill_while_it_merges(lab: Lab, collector: Collector, names: list[str]) -> None:
    """Kill the collector between the creation of a merged object and the deletion of its segments.

    A collector that has just started waits three seconds in between.
    """
    for _ in range(MERGE_KILLS):
        collector.start()
        wait("the collector hears the watches", lambda: collector.get("/readyz")[0] == 200)
        async with asyncio.timeout(60):
            while not any([(await list_events(lab.store, lab.uid(name))).obsolete for name in names]):  # noqa: ASYNC110 - the store has no event
                await asyncio.sleep(0.05)
        collector.end(signal.SIGKILL)


@BOTH_WAYS
async def test_no_line_is_lost_and_none_doubled(lab: Lab, collector: Collector, reader: str) -> None:
    collector.environment["COMPONENTRUN_COLLECTOR_SEGMENT_SECONDS"] = "0.2"
    names = [f"killed{number}" for number in range(RUNS)]
    for name in names:
        lab.run(name)
        lab.start(name, "python3", "-c", PRINTS_ON, str(RATE), str(SIZES[reader]))
    for name in names:
        wait("pod runs", lambda name=name: lab.pod_phase(name) == "Running")
    worked = kill_again_and_again(collector)
    collector.start()
    for name in names:
        lab.let_go(name)
    for name in names:
        wait("pod ended", lambda name=name: lab.pod_phase(name) == "Succeeded")
    collector.end(signal.SIGKILL)
    for name in names:
        lab.end(name)
    await kill_while_it_merges(lab, collector, names)
    collector.start()
    for name in names:
        status = wait("delivered", lambda name=name: lab.delivered(name))
        events = await lab.events(name)
        numbers, count = printed(events)
        assert numbers == list(range(1, count + 1))
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert status["message"] == ""
        found = await list_events(lab.store, lab.uid(name))
        assert found.merged
        assert (found.segments, found.obsolete) == ((), ())
    print(f"killed {KILLS} times, {worked} of them after it had written segments")  # noqa: T201 - a figure for the test log
    assert worked
