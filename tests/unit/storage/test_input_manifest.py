"""Manifests beside input tables: every key of the contract, in both forms."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.columnfacts import ColumnFacts, from_metadata
from componentrun.storage.columns import Column
from componentrun.storage.inputmanifest import input_manifest
from componentrun.storage.pointer import Commit, Pointer, TableLoad, merge_load

if TYPE_CHECKING:
    from componentrun.storage.connection import Store

COMMIT = Commit(run="r", attempt=1, time=datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC))
TABLE: Pointer = merge_load(
    None,
    TableLoad(
        table="in.c-main.foo",
        columns=("id", "n"),
        primary_key=("id",),
        described=(
            Column(name="id", type="INTEGER", length="11", nullable=False, description="key", metadata={"a": "1"}),
        ),
        metadata={"KBC.description": "all", "k": "v"},
    ),
    COMMIT,
)
BOTH: dict[str, Any] = {
    "id": "in.c-main.foo",
    "uri": "s3://bucket/team/a/tables/in.c-main/foo/table.json",
    "name": "foo",
    "primary_key": ["id"],
    "columns": ["id", "n"],
    "created": "2026-02-03T04:05:06+0000",
    "last_change_date": "2026-02-03T04:05:06+0000",
    "last_import_date": "2026-02-03T04:05:06+0000",
    "metadata": [{"key": "KBC.description", "value": "all"}, {"key": "k", "value": "v"}],
}


async def test_the_old_form(store: Store) -> None:
    assert input_manifest(TABLE, store, ("id", "n"), "none") == BOTH | {
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
async def test_the_new_form(store: Store, support: str) -> None:
    assert input_manifest(TABLE, store, ("id", "n"), support) == BOTH | {
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


async def test_only_columns_that_are_delivered_are_told_of(store: Store) -> None:
    manifest = input_manifest(TABLE, store, ("n",), "hints")
    assert (manifest["columns"], manifest["primary_key"]) == (["n"], [])
    assert [column["name"] for column in manifest["schema"]] == ["n"]
    assert input_manifest(TABLE, store, ("n",), "none")["column_metadata"] == {"n": []}
