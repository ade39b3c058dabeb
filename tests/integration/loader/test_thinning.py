"""Loads remove increments from the history, on the real catalog, even if only a mark still records a run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.loader.catalog import properties, thinning
from componentrun.loader.catalog.marks import attempt_in, snapshot_of
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.loading.fencing import fence
from componentrun.loader.loading.load import GivenUpError
from componentrun.loader.maintenance.choosing import RewriteLimits
from componentrun.loader.maintenance.rewriting import rewrite
from componentrun.loader.reading import scanning
from componentrun.loader.reading.restoring import restore_table
from componentrun.loader.reading.versions import versions_of
from componentrun.storage.store.errors import MissingError
from componentrun.storage.store.keys import TableId
from tests.integration.loader.foreign import Foreign
from tests.integration.loader.gateway import Answer, CutError
from tests.integration.loader.maintained import A, Place
from tests.integration.loader.stagedin import planned, staged_in
from tests.integration.loader.test_interleavings import Held, make_namespace, publish

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.lake_space import LakeSpace
    from tests.integration.loader.gateway import Gateway, Seen
    from tests.integration.loader.staging import Bench

pytestmark = pytest.mark.store

MANY = 12


@pytest.fixture
def place(lake_space: LakeSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place in which few increments are enough for thinning."""
    monkeypatch.setattr(thinning, "NEWEST", 3)
    monkeypatch.setattr(thinning, "_AT_ONCE", 3)
    return Place(lake_space, tmp_path)


def many(place: Place, name: str = "later") -> list[tuple[str]]:
    """Load increments, and return their rows."""
    for number in range(MANY):
        place.increment(f"{name}-{number}")
    return [(f"{name}-{number}",) for number in range(MANY)]


def found(place: Place) -> Any:
    table = place.catalog.find(place.name)
    assert table is not None
    return table


def test_the_rows_stay_and_others_read_the_table(place: Place) -> None:
    expected = [("first",)]
    place.fully("first")
    expected += many(place)
    assert place.rows(A) == expected
    assert sorted(Foreign(place.space).rows(A)) == sorted(expected)
    numbers = [version.number for version in versions_of(found(place).metadata)]
    assert (numbers[0], numbers[-1], len(numbers) < MANY) == (MANY + 1, 1, True)


def test_each_version_that_is_listed_can_be_restored(place: Place) -> None:
    place.fully("0")
    many(place, "v")
    before = [version.number for version in versions_of(found(place).metadata)]
    for number in before[1:]:
        restore_table(place.catalog, TableId.parse(A), number, who="me")
        assert place.rows(A) == [("0",), *((f"v-{place_}",) for place_ in range(number - 1))]


def test_a_run_whose_snapshot_was_removed_is_not_published_again(place: Place) -> None:
    place.fully("0")
    run = place.new_run()
    written = place.table(run, A, ["id"], [["1"], ["2"]], incremental=True)
    first = place.load(run, written)
    expected = [("0",), ("1",), ("2",), *many(place)]
    assert snapshot_of(found(place), run) is None
    attempt, tables = place.load(run, written)
    assert (attempt, tables) == (1, [replace(first[1][0], snapshot="")])
    assert fence(place.catalog, place.fence_request(run, A)) is True
    with pytest.raises(GivenUpError, match="attempt 1 of it already is"):
        place.load(run, place.table(run, A, ["id"], [["1"]], incremental=True, attempt=2), attempt=2)
    assert place.rows(A) == expected


def test_an_attempt_whose_fence_was_removed_stays_given_up(place: Place) -> None:
    place.fully("0")
    run = place.new_run()
    fence(place.catalog, place.fence_request(run, A))
    expected = [("0",), *many(place)]
    assert run not in str(found(place).metadata.snapshots)
    with pytest.raises(GivenUpError, match="it was given up before"):
        place.load(run, place.table(run, A, ["id"], [["never"]], incremental=True))
    assert fence(place.catalog, place.fence_request(run, A)) is False
    second = place.load(run, place.table(run, A, ["id"], [["second"]], incremental=True, attempt=2), attempt=2)
    assert (second[0], place.rows(A)) == (2, [*expected, ("second",)])


@pytest.mark.parametrize("is_given_up", [True, False])
def test_a_late_commit_meets_what_only_a_mark_says(
    place: Place, far: Bench, catalog_gateway: Gateway, *, is_given_up: bool
) -> None:
    """While it was delayed, its duplicate or the fence was committed, and later snapshots were added and removed."""
    place.fully("0")
    run, held = place.new_run(), Held()
    written = place.table(run, A, ["id"], [["1"]], incremental=True)
    catalog_gateway.before = held
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(publish, far, far.request(run, written))
        assert held.arrived.wait(60)
        if is_given_up:
            fence(place.catalog, place.fence_request(run, A))
        else:
            place.load(run, written)
        expected = [("0",), *([] if is_given_up else [("1",)]), *many(place)]
        assert run not in str(found(place).metadata.snapshots)
        held.go.set()
        if is_given_up:
            with pytest.raises(GivenUpError):
                late.result()
        else:
            assert late.result() == 1
    assert place.rows(A) == expected


def test_a_commit_that_removed_snapshots_and_was_not_answered_is_found(
    place: Place, far: Bench, catalog_gateway: Gateway
) -> None:
    expected = [("0",)]
    place.fully("0")
    run = place.new_run()
    request = far.request(run, place.table(run, A, ["id"], [["m"]], incremental=True))

    def lose(seen: Seen, answer: Answer) -> Answer:
        if seen.is_commit:
            catalog_gateway.forget()
            expected.extend([("m",), *many(place)])
            raise CutError
        return answer

    catalog_gateway.after = lose
    assert publish(far, request) == 1
    assert place.rows(A) == expected


def test_two_loads_that_remove_the_same_snapshots_are_both_in_with_their_marks(place: Place) -> None:
    make_namespace(place)
    runs = [place.new_run() for _ in range(24)]
    tables = [place.table(run, A, ["id"], [[run]], incremental=True) for run in runs]
    with ThreadPoolExecutor(3) as pool:
        requests = [place.request(run, table) for run, table in zip(runs, tables, strict=True)]
        assert set(pool.map(lambda request: publish(place, request), requests)) == {1}
    table = found(place)
    assert len(table.metadata.snapshots) < len(runs)
    assert [attempt_in(table, run) for run in runs] == [1] * len(runs)
    assert sorted(place.rows(A) or []) == sorted((run,) for run in runs)


def test_a_run_that_was_planned_reads_on_while_what_it_reads_is_thinned_rewritten_and_deleted(
    place: Place, tmp_path: Path
) -> None:
    place.fully("0")
    expected = many(place, "before")
    waiting = planned(place, A)
    many(place, "after")
    assert rewrite(place.catalog, place.name, RewriteLimits(files=2), str(place.scratch)).outcome == "rewritten"
    later = many(place, "again")
    place.expire(days=0.9)
    place.orphans(days=0.9)
    place.orphans(days=9)
    read = staged_in(waiting, tmp_path / "data", A).splitlines()
    assert read[1:] == ["0", *(value for (value,) in expected)]
    assert (place.rows(A) or [])[-len(later) :] == later


def test_a_reader_whose_manifests_are_deleted_while_it_reads_looks_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.fully("0")
    real, missed = scanning.scan_of, []

    def gone_once(*arguments: Any) -> Any:
        if not missed:
            missed.append(place.increment("1"))
            raise MissingError("a manifest is gone")
        return real(*arguments)

    monkeypatch.setattr(scanning, "scan_of", gone_once)
    assert place.rows(A) == [("0",), ("1",)]


def test_a_manifest_that_is_lost_for_good_is_an_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> Any:
        raise MissingError("a manifest is gone")

    place.fully("0")
    monkeypatch.setattr(scanning, "scan_of", gone)
    with pytest.raises(MissingError):
        place.scan(A)


def test_a_storage_without_maintenance_keeps_all_snapshots(place: Place) -> None:
    assert place.settings.catalog is not None
    place.settings = replace(place.settings, catalog=replace(place.settings.catalog, thins_history=False))
    place.catalog.thins_history = False
    many(place)
    assert place.snapshots() == MANY
    assert properties.MARKS not in found(place).properties


def test_several_tables_of_a_run_are_thinned_at_once(place: Place) -> None:
    names = (A, "out.c-main.b")
    for number in range(MANY):
        run = place.new_run()
        place.load(run, *[place.table(run, name, ["id"], [[str(number)]], incremental=True) for name in names])
    for name in names:
        table = place.catalog.find(to_iceberg(place.catalog.prefix, TableId.parse(name)))
        assert table is not None
        assert len(table.metadata.snapshots) < MANY
        assert place.rows(name) == [(str(number),) for number in range(MANY)]
