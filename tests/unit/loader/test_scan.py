"""How the scan over all tables of a catalog goes on, and what a round costs the catalog."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.loader.maintenance import round as rounds
from componentrun.loader.maintenance.round import Round, RoundLimits
from componentrun.loader.maintenance.scan import ScanPosition, share_of, tables_behind
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.loader.catalog.names import IcebergName

HOUR = 3600.0
TABLES = 100_000
NAMESPACES = 100


class Catalog:
    """Counts requests. A table's metadata say that it needs nothing."""

    prefix = ""
    settings = None

    def __init__(self, namespaces: int = NAMESPACES, tables: int = TABLES) -> None:
        self.requests: Counter[str] = Counter()
        self._namespaces, self._tables = namespaces, tables

    def namespaces(self) -> list[str]:
        self.requests["list"] += 1
        return [f"out_c_{number:04}a" for number in range(self._namespaces)] + ["somebody_elses"]

    def tables(self, _: str) -> list[str]:
        self.requests["list"] += 1
        return [f"t{number:05}" for number in range(self._tables // self._namespaces)]

    def find(self, _: IcebergName) -> Any:
        self.requests["load"] += 1
        summary = {"total-data-files": "1", "total-delete-files": "0"}
        metadata = SimpleNamespace(
            current_snapshot=lambda: SimpleNamespace(summary=summary),
            current_snapshot_id=None,
            properties={},
            snapshots=[],
            snapshot_log=[],
            refs={},
        )
        return SimpleNamespace(properties={"gc.enabled": "false"}, metadata=metadata)


class Notes:
    """The objects of a Storage's bucket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.changed: list[str] = []
        self.position = ScanPosition()
        monkeypatch.setattr(rounds, "changed_tables", self._take)
        monkeypatch.setattr(rounds, "note_changes", lambda _, tables: self.changed.extend(tables))
        monkeypatch.setattr(rounds, "read_position", lambda _: self.position)
        monkeypatch.setattr(rounds, "write_position", lambda _, position: setattr(self, "position", position))

    def _take(self, *_: Any) -> Iterator[list[TableId]]:
        taken, self.changed = self.changed, []
        if taken:
            yield [TableId.parse(table) for table in taken]


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    return Notes(monkeypatch)


def play(catalog: Any, now: float, seconds: float = 1e9) -> Any:
    return Round(catalog, RoundLimits(seconds=seconds), "/nowhere", clock=lambda: now).all_tables()


def test_an_hour_of_a_hundred_thousand_tables_costs_requests_for_those_that_changed_and_a_few(notes: Notes) -> None:
    catalog = Catalog()
    notes.position = ScanPosition(at=0, total=TABLES)
    notes.changed = [f"out.c-0001a.t{number:05}" for number in range(500)]
    play(catalog, HOUR)
    # Those of the scan are looked at again for files that nothing reaches.
    assert catalog.requests["load"] == 500 + 2 * 596
    assert catalog.requests["list"] <= 3


def test_all_tables_are_looked_at_within_the_period_and_then_again(notes: Notes) -> None:
    catalog = Catalog(namespaces=10, tables=4000)
    notes.position = ScanPosition(at=0, total=4000)
    seen = 0
    for hour in range(1, 169):
        seen += play(catalog, hour * HOUR).tables
        if notes.position.namespace == "":
            break
    assert seen == 4000
    assert notes.position.total == 4000
    assert hour <= 168


def test_a_table_that_fails_is_noted_again_and_keeps_nobody_from_the_others(
    notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Catalog):
        def find(self, name: IcebergName) -> Any:
            if name.name == "bad":
                raise ValueError("a defect")
            return super().find(name)

    notes.changed = ["out.c-main.bad", "out.c-main.good"]
    done = play(Failing(1, 1), HOUR)
    assert (done.failures, notes.changed) == (1, ["out.c-main.bad"])
    assert "out_c_main.bad was not maintained" in caplog.text


def test_a_round_that_takes_too_long_leaves_the_rest_to_the_next(notes: Notes) -> None:
    notes.changed = ["out.c-main.a", "out.c-main.b"]
    done = play(Catalog(), HOUR, seconds=0)
    assert (done.tables, notes.changed) == (0, ["out.c-main.a", "out.c-main.b"])


@pytest.mark.parametrize(
    ("position", "hours", "share"),
    [
        (ScanPosition(), 1, 1000),
        (ScanPosition(total=100_000), 1, 596),
        (ScanPosition(total=100_000), 24, 14286),
        (ScanPosition(total=100_000), 24 * 30, 100_000),
        (ScanPosition(total=10), 1, 100),
    ],
)
def test_the_share_of_a_round_is_that_of_the_time_that_passed(position: ScanPosition, hours: int, share: int) -> None:
    assert share_of(replace(position, at=5.0), 5.0 + hours * HOUR) == share


def test_the_scan_goes_on_behind_its_position_and_leaves_other_peoples_namespaces_alone() -> None:
    found = list(tables_behind(Catalog(2, 4), ScanPosition("out_c_0000a", "t00000")))  # type: ignore[arg-type]
    assert [tuple(name) for name in found] == [
        ("out_c_0000a", "t00001"), ("out_c_0001a", "t00000"), ("out_c_0001a", "t00001")
    ]  # fmt: skip
