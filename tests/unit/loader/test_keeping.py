"""Properties that keep a table's history while another engine maintains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from componentrun.errors import Reason
from componentrun.loader.catalog import properties
from componentrun.loader.catalog.catalog import ConflictError
from componentrun.loader.catalog.snapshots import NewSnapshot
from componentrun.loader.maintenance import keeping
from componentrun.loader.maintenance.keeping import history_kept, leave_marks
from tests.unit.loader.lakeworld import DAY, World
from tests.unit.loader.memorylake import NAME

if TYPE_CHECKING:
    from pathlib import Path


class BusyCatalog:
    """Refuses the first commits of each change, as some catalogs do while another commit is in progress."""

    def __init__(self, world: World, refused: int) -> None:
        self._world, self._refused, self.commits = world, refused, 0

    def commit(self, changes: Any) -> None:
        self.commits += 1
        if self.commits % (self._refused + 1):
            raise ConflictError("another commit is in progress", Reason.PUBLISH_FAILED)
        self._world.lake.commit(changes)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(keeping, "_PAUSE", 0)
    made = World(str(tmp_path))
    made.change(NewSnapshot({properties.RUN: "r", properties.ATTEMPT: "1"}))
    return made


def names(world: World) -> set[str]:
    return {name for name in world.lake.find(NAME).properties if name != properties.CREATED}


def test_properties_are_written_although_loads_commit_at_the_same_time(world: World) -> None:
    catalog: Any = BusyCatalog(world, refused=2)
    table = world.lake.find(NAME)
    with history_kept(catalog, NAME, table, world.lake.now + DAY):
        assert names(world) == {properties.KEPT_UNTIL}
    assert names(world) == set()
    leave_marks(catalog, NAME, table, [found.snapshot_id for found in table.metadata.snapshots], world.lake.now)
    assert [name.startswith(f"{properties.MARKS}.") for name in names(world)] == [True]


def test_a_catalog_that_always_refuses_is_not_asked_for_ever(world: World) -> None:
    catalog: Any = BusyCatalog(world, refused=1000)
    with pytest.raises(ConflictError), history_kept(catalog, NAME, world.lake.find(NAME), world.lake.now + DAY):
        pytest.fail("the history is not kept")
    assert 1 < catalog.commits < 100
