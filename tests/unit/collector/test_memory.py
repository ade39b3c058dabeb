"""What the collector holds for a container, and for pods that are none of a run's, stays small."""

from __future__ import annotations

import asyncio
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from componentrun.collector.readers.api.lines import SECOND, digest
from componentrun.collector.readers.api.position import Position
from componentrun.collector.readers.line import Line
from componentrun.collector.runs import registry as module
from componentrun.collector.runs.facts import pod_facts
from componentrun.collector.runs.registry import Registry
from tests.unit.collector.runs import UID, a_run, raw_pod
from tests.unit.collector.world import World

if TYPE_CHECKING:
    import pytest

    from componentrun.collector.readers.api.position import Replay

BEGIN = 1_795_506_393 * SECOND
CONTAINERS = 20
KIB = 1024


def lines(container: int) -> list[Line]:
    """Of one second: as many as the fastest containers print in a tenth of it."""
    return [Line(BEGIN + number, b"x", 32, digest(b"%d %d" % (container, number))) for number in range(5_000)]


def filled(container: int) -> Position:
    position, printed = Position(), lines(container)
    for at in range(0, len(printed), 250):
        position.add(printed[at : at + 250])
    return position


def test_a_busy_container_is_held_in_25_kib_also_while_its_log_is_read_again() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        held: list[tuple[Position, Replay]] = []
        for number in range(CONTAINERS):
            position = filled(number)
            held.append((position, position.replay()))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown / len(held) < 25 * KIB


def test_a_checkpoint_of_a_busy_container_has_12_kib() -> None:
    assert len(str(filled(0).to_json())) < 12 * KIB


def test_a_position_knows_the_last_lines_that_were_read() -> None:
    position, printed = filled(0), lines(0)
    assert all(position.has_read(line) for line in printed[-100:])
    assert not position.has_read(Line(BEGIN + 5_000, b"x", 32, digest(b"another")))


async def test_a_run_that_begins_looks_at_its_own_pods_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """5,000 runs beside 5,000 pods would be 25 million looks, in which nothing else goes on."""
    looked: list[str] = []
    belongs = module._belongs

    def counting(pod: Any, run: Any) -> bool:
        looked.append(pod.uid)
        return belongs(pod, run)

    async def nothing(_self: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(module.Worker, "work", nothing)
    monkeypatch.setattr(module, "_belongs", counting)
    registry, pod = Registry(World().services), pod_facts(raw_pod())
    for number in range(100):
        registry.pod_changed(replace(pod, uid=f"other-{number}", run_uid=f"run-{number}"))
    registry.pod_changed(pod)
    registry.pod_deleted("other-7")
    registry.run_changed(a_run(phase="Running"))
    await asyncio.sleep(0)
    assert looked == ["pod-uid"]
    assert list(registry._states[UID].pods) == ["pod-uid"]
    for task in registry._tasks.values():
        task.cancel()
