"""Snapshots as versions that people speak of."""

from __future__ import annotations

from typing import Any

import pytest
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata, new_table_metadata
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER

from componentrun.loader.reading.scanning import last_change_of
from componentrun.loader.reading.versions import versions_of

TOTALS = {"total-records": "5", "total-files-size": "900", "total-position-deletes": "2"}


def table(*summaries: dict[str, str] | None) -> TableMetadata:
    """A table with a snapshot for each summary, the oldest first."""
    snapshots = [
        Snapshot(
            snapshot_id=100 + number,
            parent_snapshot_id=99 + number if number else None,
            sequence_number=number + 1,
            timestamp_ms=1_000 * number,
            manifest_list="s3://lake/list.avro",
            summary=Summary(Operation.APPEND, **summary) if summary is not None else None,
        )
        for number, summary in enumerate(summaries)
    ]
    made = new_table_metadata(Schema(), UNPARTITIONED_PARTITION_SPEC, UNSORTED_SORT_ORDER, "s3://lake/t", {})
    current = snapshots[-1].snapshot_id if snapshots else None
    return made.model_copy(update={"snapshots": snapshots, "current_snapshot_id": current})


def test_the_newest_version_comes_first_and_fences_are_none() -> None:
    found = versions_of(table({}, {"componentrun.fenced-run": "r"}, {}))
    assert [version.number for version in found] == [3, 1]


def test_a_table_that_was_never_loaded_has_no_version() -> None:
    assert list(versions_of(table())) == []


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ({"componentrun.change": "load"}, {"what": "load", "title": "", "who": None}),
        ({"componentrun.change": "restore", "componentrun.restored": "3"}, {"what": "restore of 3"}),
        ({"componentrun.change": "drop", "componentrun.who": "jane"}, {"what": "drop", "who": "jane", "is_drop": True}),
        ({"engine-name": "spark"}, {"what": "append", "title": "spark", "run": "", "primary_key": None}),
        ({"componentrun.primary-key": '["id"]'}, {"primary_key": ("id",)}),
        ({"componentrun.run": "r", "componentrun.attempt": "2"}, {"run": "r", "attempt": 2}),
        (TOTALS, {"rows": 3, "bytes": 900}),
        (TOTALS | {"total-equality-deletes": "1"}, {"rows": None}),
        ({}, {"rows": None, "bytes": None}),
        (None, {"what": "unknown", "rows": None}),
    ],
)
def test_a_version_tells_what_its_snapshot_says(summary: dict[str, str] | None, expected: dict[str, Any]) -> None:
    (version,) = versions_of(table(summary))
    assert {name: getattr(version, name) for name in expected} == expected


def test_a_rewrite_of_another_engine_is_no_change_of_rows() -> None:
    found = table({}, {}, {}, {})
    replacing = [
        snapshot.model_copy(update={"summary": Summary(Operation.REPLACE)}) if snapshot.snapshot_id >= 102 else snapshot
        for snapshot in found.snapshots
    ]
    rewritten = found.model_copy(update={"snapshots": replacing})
    assert last_change_of(rewritten, replacing[-1]) == 1_000
    # What was changed before is not known any more.
    expired = found.model_copy(update={"snapshots": replacing[2:]})
    assert last_change_of(expired, replacing[-1]) == 2_000
