"""What the Spark Job does to a table, and in which order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from componentrun.loader.catalog import properties
from componentrun.loader.catalog.snapshots import NewSnapshot
from componentrun.loader.maintenance.history import HistoryLimits, expired_snapshots
from componentrun.spark import program
from componentrun.spark.session import RewriteDone
from componentrun.wire.spark import SparkTask
from tests.unit.loader.lakeworld import DAY, World
from tests.unit.loader.memorylake import NAME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

TASK = SparkTask(
    storage={}, table="out.c-main.a", scans=False, history=7 * DAY, file_bytes=1, files=2, deleted_percent=20,
    memory=2**30, conf={},
)  # fmt: skip


class FakeSession:
    """Notes whether loads may remove increments at each call, and which snapshots are to go."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.calls: list[tuple[str, bool]] = []
        self.expired: list[int] = []

    def rewrite(self, _: Any) -> RewriteDone:
        self._note("rewrite")
        return RewriteDone(0, 0, 0, 0)

    def rewrite_deletes(self, _: Any) -> None:
        self._note("rewrite_deletes")

    def expire(self, _: Any, snapshots: Sequence[int]) -> int:
        self._note("expire")
        self.expired = list(snapshots)
        return 0

    def close(self) -> None:
        self._note("close")

    def _note(self, call: str) -> None:
        self.calls.append((call, properties.KEPT_UNTIL in self._world.lake.find(NAME).properties))


def test_loads_keep_the_history_while_spark_rewrites_and_increments_that_no_run_reads_go_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(str(tmp_path))

    def increments(count: int) -> None:
        for _ in range(count):
            added = [world.lake.upload(world.location())]
            world.change(NewSnapshot({properties.CHANGE: properties.INCREMENT}, added=added))

    increments(5)
    world.rewrite()
    world.lake.now += 2 * DAY
    increments(30)
    expired = expired_snapshots(world.lake.find(NAME).metadata, HistoryLimits(), world.lake.now)
    session = FakeSession(world)
    world.catalog.prefix = ""
    monkeypatch.setattr(program, "Catalog", lambda _: world.lake)
    monkeypatch.setattr(program, "Session", lambda *_: session)
    monkeypatch.setattr(program, "time", SimpleNamespace(time=lambda: world.lake.now))
    program.maintain(TASK, world.lake.settings)
    assert session.expired == expired != []
    assert session.calls == [("rewrite", True), ("rewrite_deletes", True), ("expire", False), ("close", False)]
