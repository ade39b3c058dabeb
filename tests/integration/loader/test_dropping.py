"""Dropping tables, with the real store and catalog."""

from __future__ import annotations

import contextlib
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.errors import TransientError
from componentrun.loader.catalog import properties
from componentrun.loader.loading import load as loading
from componentrun.loader.loading.fencing import fence
from componentrun.loader.loading.load import load
from componentrun.loader.maintenance import dropping
from componentrun.loader.maintenance.dropping import drop_unused
from tests.integration.loader.maintained import A, Place

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.lake_space import LakeSpace

pytestmark = pytest.mark.store

WEEK = timedelta(days=7)


@pytest.fixture
def place(lake_space: LakeSpace, tmp_path: Path) -> Place:
    made = Place(lake_space, tmp_path)
    fence(made.catalog, made.fence_request(made.new_run(), A))
    return made


def test_a_table_that_was_made_for_a_load_that_never_came_is_dropped_after_days(place: Place) -> None:
    assert not drop_unused(place.catalog, place.name, WEEK, place.later(2.9))
    assert drop_unused(place.catalog, place.name, WEEK, place.later(3.1))
    assert place.catalog.find(place.name) is None
    place.fully("1")
    assert place.rows(A) == [("1",)]


def test_a_table_that_was_loaded_is_never_dropped(place: Place) -> None:
    place.fully("1")
    assert not drop_unused(place.catalog, place.name, WEEK, place.later(400))


def test_a_load_that_is_faster_keeps_its_table(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = dropping.change_of  # type: ignore[attr-defined]

    def changed(*arguments: Any, **more: Any) -> Any:
        change = real(*arguments, **more)
        place.fully("1")
        return change

    monkeypatch.setattr(dropping, "change_of", changed)
    assert not drop_unused(place.catalog, place.name, WEEK, place.later(4))
    assert place.rows(A) == [("1",)]


class Killed(BaseException):
    """An exception that no code catches."""


def test_a_load_that_has_looked_before_the_mark_meets_a_conflict_and_then_waits(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = place.new_run()
    comes = place.table(run, A, ["id"], [["1"]])
    real = loading._Work.commit

    def killed(_: Any) -> None:
        raise Killed

    def committed(work: Any, *arguments: Any) -> None:
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(place.catalog, "drop", killed)
            patch.setattr(dropping, "is_unused", lambda *_: True)
            drop_unused(place.catalog, place.name, WEEK)
        real(work, *arguments)

    monkeypatch.setattr(loading._Work, "commit", committed)
    with pytest.raises(TransientError, match="maintenance is just dropping it"):
        load(place.catalog, place.request(run, comes), str(place.scratch))
    monkeypatch.setattr(loading._Work, "commit", real)
    later = time.time() + 700
    load(place.catalog, place.request(run, comes), str(place.scratch), clock=lambda: later)
    assert place.rows(A) == [("1",)]
    found = place.catalog.find(place.name)
    assert found is not None
    assert found.properties[properties.STATE] == properties.LOADED


def test_a_load_that_has_looked_before_its_table_was_dropped_makes_it_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = place.new_run()
    comes = place.table(run, A, ["id"], [["1"]])
    real, drops = loading._Work.commit, [lambda: drop_unused(place.catalog, place.name, WEEK, place.later(4))]

    def committed(work: Any, *arguments: Any) -> None:
        if drops:
            drops.pop()()
        real(work, *arguments)

    monkeypatch.setattr(loading._Work, "commit", committed)
    load(place.catalog, place.request(run, comes), str(place.scratch))
    assert place.rows(A) == [("1",)]
