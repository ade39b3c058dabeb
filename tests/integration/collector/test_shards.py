"""Runs are distributed among collectors, and move between collectors while they print."""

from __future__ import annotations

import asyncio
import signal
import uuid
import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.integration.collector.lab import BOTH_WAYS, PRINTS_ON, Collector, printed, wait

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.collector.lab import Lab

pytestmark = [pytest.mark.cluster, pytest.mark.store, pytest.mark.long]


def shard(lab: Lab, folder: Path, number: int, shards: int) -> Collector:
    """One of several collectors, as the chart's StatefulSet starts them."""
    made = Collector(lab, folder / f"{number}-of-{shards}-{uuid.uuid4().hex[:4]}" / "collector.log")
    made.environment["COMPONENTRUN_COLLECTOR_SHARD"] = str(number)
    made.environment["COMPONENTRUN_COLLECTOR_SHARDS"] = str(shards)
    return made


def runs_of_both_shards(lab: Lab) -> list[str]:
    """Two runs whose uids assign them to different collectors."""
    for number in range(2):
        name = f"moves-{number}"
        lab.run(name, uid=uid_of_shard(number))
        lab.start(name, "python3", "-c", PRINTS_ON, "150")
    return ["moves-0", "moves-1"]


def uid_of_shard(number: int) -> str:
    while True:
        uid = str(uuid.uuid4())
        if zlib.crc32(uid.encode()) % 2 == number:
            return uid


@BOTH_WAYS
async def test_runs_move_between_collectors_without_loss_or_doubles(lab: Lab, tmp_path: Path) -> None:
    with ExitStack() as stack:

        def begun(number: int, shards: int) -> Collector:
            made = shard(lab, tmp_path, number, shards)
            made.start()
            stack.callback(made.leave)
            return made

        alone = begun(0, 1)
        names = runs_of_both_shards(lab)
        wait("lines flow", lambda: alone.metric("componentrun_collector_lines_total"))
        # Scale up to two. A rolling update takes a while, so for some seconds both runs have two owners.
        two = [begun(0, 2), begun(1, 2)]
        wait("each has its run", lambda: [one.metric("componentrun_collector_runs") for one in two] == [1, 1])
        await asyncio.sleep(3)
        alone.end(signal.SIGTERM)
        wait("the new ones write", lambda: all(one.metric("componentrun_collector_lines_total") for one in two))
        # Scale down to one without a graceful end: for a moment the runs have no owner.
        for one in two:
            one.end(signal.SIGKILL)
        alone = begun(0, 1)
        for name in names:
            lab.let_go(name)
        wait("pods ended", lambda: {lab.pod_phase(name) for name in names} == {"Succeeded"})
        for name in names:
            lab.end(name)
        wait("delivered", lambda: all(lab.delivered(name) for name in names))
        for name in names:
            status, events = lab.delivered(name), await lab.events(name)
            numbers, count = printed(events)
            assert numbers == list(range(1, count + 1)), name
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert status == {"count": len(events), "delivered": True, "message": ""}


async def test_each_collector_follows_its_own_runs_only(lab: Lab, tmp_path: Path) -> None:
    first, second = shard(lab, tmp_path, 0, 2), shard(lab, tmp_path, 1, 2)
    first.start()
    try:
        for number in range(2):
            lab.run(f"mine-{number}", uid=uid_of_shard(number))
            lab.end(f"mine-{number}")
        wait("its own is delivered", lambda: lab.delivered("mine-0"))
        assert lab.get("mine-1")["status"].get("events") is None
        second.start()
        wait("the other one too", lambda: lab.delivered("mine-1"))
    finally:
        first.leave()
        second.leave()
