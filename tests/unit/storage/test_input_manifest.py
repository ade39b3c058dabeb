"""Manifests beside input tables: every key of the contract, in both forms."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.csv.columnfacts import ColumnFacts, from_metadata
from componentrun.storage.access.inputmanifest import scan_manifest
from componentrun.wire.loader import ScanColumn, TableScan

TABLE = TableScan(
    table="in.c-main.foo",
    snapshot="1",
    columns=(ScanColumn("id", 1, "string"), ScanColumn("n", 2, "string")),
    timestamp_id=3,
    files=(),
    deletes=(),
    created="2026-02-03T04:05:06+00:00",
    last_change="2026-02-03T04:05:06+00:00",
    timestamp=0,
    uuid="u",
    primary_key=("id",),
    described=(ColumnFacts("id", "INTEGER", "11", nullable=False, description="key", metadata={"a": "1"}),),
    metadata={"KBC.description": "all", "k": "v"},
    location="s3://bucket/lake/in_c_main/foo",
)
BOTH: dict[str, Any] = {
    "id": "in.c-main.foo",
    "uri": "s3://bucket/lake/in_c_main/foo",
    "name": "foo",
    "primary_key": ["id"],
    "columns": ["id", "n"],
    "created": "2026-02-03T04:05:06+0000",
    "last_change_date": "2026-02-03T04:05:06+0000",
    "last_import_date": "2026-02-03T04:05:06+0000",
    "metadata": [{"key": "KBC.description", "value": "all"}, {"key": "k", "value": "v"}],
}


def test_the_old_form() -> None:
    assert scan_manifest(TABLE, ("id", "n"), "none") == BOTH | {
        "column_metadata": {
            "id": [
                {"key": "KBC.datatype.basetype", "value": "INTEGER"},
                {"key": "KBC.datatype.nullable", "value": ""},
                {"key": "KBC.datatype.length", "value": "11"},
                {"key": "KBC.description", "value": "key"},
                {"key": "a", "value": "1"},
            ],
            "n": [],
        }
    }


@pytest.mark.parametrize("nullable", [True, False])
def test_whether_values_may_be_missing_is_a_text_as_all_metadata(nullable: bool) -> None:
    (entry,) = ColumnFacts("id", nullable=nullable).metadata_entries()
    assert entry == {"key": "KBC.datatype.nullable", "value": "1" if nullable else ""}
    assert from_metadata("id", [entry]).nullable is nullable


@pytest.mark.parametrize("support", ["hints", "authoritative"])
def test_the_new_form(support: str) -> None:
    assert scan_manifest(TABLE, ("id", "n"), support) == BOTH | {
        "description": "all",
        "schema": [
            {
                "name": "id",
                "data_type": {"base": {"type": "INTEGER", "length": "11"}},
                "nullable": False,
                "primary_key": True,
                "description": "key",
                "metadata": {"a": "1"},
            },
            {"name": "n", "data_type": {"base": {"type": "STRING"}}, "nullable": True, "primary_key": False},
        ],
    }


def test_only_columns_that_are_delivered_are_told_of() -> None:
    manifest = scan_manifest(TABLE, ("n",), "hints")
    assert (manifest["columns"], manifest["primary_key"]) == (["n"], [])
    assert [column["name"] for column in manifest["schema"]] == ["n"]
    assert scan_manifest(TABLE, ("n",), "none")["column_metadata"] == {"n": []}
