"""Which keys manifests may have: all that keboola-component writes, and none that would be dropped in silence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keboola.component.dao import (
    ColumnDefinition,
    DataType,
    FileDefinition,
    SupportedDataTypes,
    TableDefinition,
    TableMetadata,
)

from componentrun.agent.stageout.fileoutputs import parse_file_manifest
from componentrun.agent.stageout.manifest import Manifest, parse_manifest
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = "out/tables/bar.csv.manifest"


def parsed(raw: Any) -> Manifest:
    return parse_manifest(json.dumps(raw).encode(), FILE)


def refusal(raw: Any, parse: Callable[[bytes, str], object] = parse_manifest) -> str:
    with pytest.raises(UserError) as caught:
        parse(json.dumps(raw).encode(), FILE)
    assert caught.value.reason is Reason.OUTPUT_INVALID
    return caught.value.message


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"primary_keys": ["id"]}, "unknown key `primary_keys` (did you mean `primary_key`?)"),
        ({"primaryKey": ["id"]}, "unknown key `primaryKey` (did you mean `primary_key`?)"),
        ({"column": ["id"]}, "unknown key `column` (did you mean `columns`?)"),
        ({"Incremental": True}, "unknown key `Incremental` (did you mean `incremental`?)"),
        ({"is_incremental": True}, "unknown key `is_incremental` (did you mean `incremental`?)"),
        ({"writeAlways": True}, "unknown key `writeAlways` (did you mean `write_always`?)"),
        ({"dedup_strategy": "insert"}, "unknown key `dedup_strategy` (did you mean `deduplication_strategy`?)"),
        ({"deleteWhereColumn": "a"}, "unknown key `deleteWhereColumn` (did you mean `delete_where_column`?)"),
        ({"header": True}, "unknown key `header` (did you mean `has_header`?)"),
        ({"zzz": 1}, "unknown key `zzz`; expected `destination`, `incremental`, "),
        (
            {"primary_keys": [], "colums": ["a"]},
            "unknown keys `primary_keys` (did you mean `primary_key`?), `colums` (did you mean `columns`?)",
        ),
        ({f"zz{i}": 1 for i in range(12)}, "`zz9` and 2 more"),
        ({"schema": [{"name": "a", "primaryKey": True}]}, "`schema[0]` (`a`): unknown key `primaryKey` (did you mean"),
        ({"schema": [{"name": "a", "type": "DATE"}]}, "(`a`): unknown key `type` (did you mean `data_type`?)"),
        ({"schema": [{"name": "a", "data_type": {"base": {"typ": "DATE"}}}]},
         "`schema[0]` (`a`): `data_type.base`: unknown key `typ` (did you mean `type`?)"),
        ({"schema": [{"name": "a", "data_type": {"snowflake": {"type": "NUMBER", "precision": 3}}}]},
         "`schema[0]` (`a`): `data_type.snowflake`: unknown key `precision`; expected `type`, `length`, `default`"),
        ({"schema": [{"name": "a", "data_type": {"bsae": {"type": "DATE"}}}]},
         "`schema[0]` (`a`): `data_type`: unknown key `bsae` (did you mean `base`?)"),
        ({"schema": [{"name": "a", "data_type": {"type": "DATE"}}]},
         "`schema[0]` (`a`): `data_type`: unknown key `type`; expected `base`"),
        ({"metadata": [{"key": "a", "val": "b"}]}, "`metadata[0]`: unknown key `val` (did you mean `value`?)"),
        ({"columns": ["a"], "column_metadata": {"a": [{"key": "a", "valeu": "b"}]}},
         "`column_metadata` of `a`: `[0]`: unknown key `valeu` (did you mean `value`?)"),
        ({"delete_where": [{"where_filter": []}]}, "`delete_where[0]`: unknown key `where_filter` (did you mean"),
        ({"delete_where": [{"where_filters": [{"column": "a", "values": ["1"]}]}]},
         "`delete_where[0].where_filters[0]`: unknown key `values` (did you mean `values_from_set`?)"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_refused_with_the_nearest_known_one(raw: Any, told: str) -> None:
    message = refusal(raw)
    assert message.startswith(f"{FILE}: ")
    assert told in message


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"tag": ["a"]}, "unknown key `tag` (did you mean `tags`?)"),
        ({"isPermanent": True}, "unknown key `isPermanent` (did you mean `is_permanent`?)"),
        ({"permanent": True}, "unknown key `permanent` (did you mean `is_permanent`?)"),
        ({"new": 1}, "unknown key `new`; expected `tags`, `is_public`, `is_permanent`, `is_encrypted`, `notify`"),
    ],
)
def test_so_it_is_with_the_manifest_of_a_file(raw: Any, told: str) -> None:
    assert told in refusal(raw, parse_file_manifest)


@pytest.mark.parametrize(("told", "wanted"), [("insert", True), ("upsert", False), ("", None), (None, None)])
def test_the_deduplication_strategy(told: str | None, wanted: bool | None) -> None:
    assert parsed({"deduplication_strategy": told}).insert is wanted


def test_another_deduplication_strategy_is_refused() -> None:
    told = refusal({"deduplication_strategy": "replace"})
    assert "`deduplication_strategy` is 'replace'; expected 'insert' or 'upsert'" in told


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"schema": [{"name": "a"}], "columns": ["b"]}, "`schema` has the columns `a`, `columns` says `b`"),
        ({"schema": [{"name": "a", "primary_key": True}, {"name": "b"}], "primary_key": ["b"]},
         "`schema` has the primary key `a`, `primary_key` says `b`"),
        ({"schema": [{"name": "a"}], "column_metadata": {"a": [{"key": "k", "value": "v"}]}},
         "both `schema` and `column_metadata` tell of columns"),
        ({"delete_where_column": "a", "delete_where_values": ["1"],
          "delete_where": [{"where_filters": [{"column": "a", "values_from_set": ["2"]}]}]},
         "both `delete_where_column` and `delete_where` say which rows to delete"),
        ({"delete_where_column": "a"}, "`delete_where_column` is there, but `delete_where_values` is not"),
    ],
)  # fmt: skip
def test_what_is_said_twice_may_not_differ(raw: Any, told: str) -> None:
    assert told in refusal(raw)


def test_keys_that_change_nothing_here_are_accepted() -> None:
    assert (
        parsed({"distribution_key": ["a"], "unload_strategy": "x", "tags": ["t"], "manifest_type": "out"}) == Manifest()
    )


def test_the_manifest_of_an_input_table_may_be_copied_and_a_warning_names_what_says_nothing_of_an_output() -> None:
    raw = {
        "id": "in.c-main.foo", "uri": "s3://x", "name": "foo", "primary_key": ["a"], "columns": ["a"],
        "created": "2026-01-01", "last_change_date": "", "last_import_date": "", "rows_count": 1, "data_size_bytes": 1,
        "is_alias": False, "indexed_columns": ["a"], "attributes": [], "schema": [{"name": "a", "primary_key": True}],
        "metadata": [{"id": 1, "key": "k", "value": "v", "provider": "p", "timestamp": "t"}],
    }  # fmt: skip
    manifest = parsed(raw)
    assert (manifest.columns, manifest.primary_key, manifest.metadata) == (("a",), ("a",), {"k": "v"})
    assert manifest.warning is not None
    assert "`id`, `uri`, `name`, `created`" in manifest.warning
    assert "describe an input" in manifest.warning


def test_an_empty_list_of_php_is_an_empty_object() -> None:
    assert parsed([]) == Manifest()
    column: dict[str, Any] = {"name": "a", "data_type": {"base": []}, "metadata": []}
    documents: tuple[dict[str, Any], ...] = (
        {"metadata": [], "table_metadata": [], "column_metadata": [], "delete_where": [], "schema": []},
        {"columns": ["a"], "column_metadata": {"a": []}},
        {"schema": [column]},
        {"schema": [{"name": "a", "data_type": []}]},
        {"schema": [{"name": "a", "data_type": {"base": {"type": "STRING"}, "snowflake": []}}]},
    )
    for raw in documents:
        assert parsed(raw).metadata == {}
    assert parse_file_manifest(b"[]", "out/files/a.manifest").tags is None


def test_column_metadata_may_be_a_list_in_the_order_of_the_columns() -> None:
    """PHP writes columns whose names are numbers so: `{"0": ...}` is a list there."""
    entries = [{"key": "KBC.datatype.basetype", "value": "DATE"}]
    manifest = parsed({"columns": ["a", "b", "c"], "column_metadata": [[], entries]})
    assert [(item.name, item.type) for item in manifest.facts] == [("b", "DATE")]
    assert [item.name for item in parsed({"columns": [0, 1], "column_metadata": [[], entries]}).facts] == ["1"]
    gaps = parsed({"columns": ["a", "b", "c"], "column_metadata": {"0": [], "2": entries}})
    assert [item.name for item in gaps.facts] == ["c"]
    assert [item.name for item in parsed({"columns": [0, 2], "column_metadata": {"2": entries}}).facts] == ["2"]


def test_metadata_may_have_gaps_as_any_list_of_php() -> None:
    entry = {"key": "KBC.description", "value": "x"}
    assert parsed({"metadata": {"1": entry}}).metadata == {"KBC.description": "x"}
    assert parsed({"column_metadata": {"a": {"0": entry, "3": entry}}}).facts[0].description == "x"
    assert "unknown key `val`" in refusal({"metadata": {"1": {"key": "a", "val": "b"}}})


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"columns": ["a"], "column_metadata": [[], []]}, "`column_metadata` is a list of 2, `columns` has 1"),
        ({"column_metadata": [[]]}, "`column_metadata` is a list, in the order of `columns`, which are not there"),
    ],
)
def test_a_list_of_column_metadata_needs_its_columns(raw: Any, told: str) -> None:
    assert told in refusal(raw)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(str.strip)
TYPES = st.builds(DataType, st.sampled_from(list(SupportedDataTypes)), st.none() | st.just("20"), st.none() | WORDS)
COLUMNS = st.dictionaries(
    WORDS,
    st.builds(
        ColumnDefinition,
        st.fixed_dictionaries({"base": TYPES}, optional={"snowflake": TYPES, "bigquery": TYPES}),
        nullable=st.booleans(),
        primary_key=st.booleans(),
        description=st.none() | WORDS,
        metadata=st.none() | st.dictionaries(WORDS, WORDS, max_size=2),
    ),
    max_size=3,
)


@st.composite
def tables(draw: st.DrawFn) -> TableDefinition:
    columns = draw(COLUMNS)
    metadata = TableMetadata()
    for key in draw(st.lists(WORDS, max_size=2)):
        metadata.add_table_metadata(key, draw(WORDS))
    for name in columns:
        if draw(st.booleans()):
            metadata.add_column_data_type(name, draw(st.sampled_from(list(SupportedDataTypes))), "X", length="3")
    where = {"column": "a", "operator": draw(st.sampled_from(["eq", "ne"])), "values": ["1"]}
    return TableDefinition(
        "bar.csv",
        "/data/out/tables/bar.csv",
        is_sliced=draw(st.booleans()),
        destination=draw(st.sampled_from(["", "out.c-a.bar"])),
        primary_key=draw(st.lists(st.sampled_from(sorted(columns)), unique=True)) if columns else [],
        schema=columns,
        incremental=draw(st.none() | st.booleans()),
        table_metadata=metadata,
        enclosure=draw(st.sampled_from(['"', "'", ""])),
        delimiter=draw(st.sampled_from([",", "\t", ";"])),
        delete_where=draw(st.none() | st.just(where)),
        stage=draw(st.sampled_from(["in", "out"])),
        write_always=draw(st.booleans()),
        has_header=draw(st.none() | st.booleans()),
        description=draw(st.none() | WORDS),
        id="in.c-a.bar",
        uri="https://x",
        created="2026-01-01T00:00:00+0000",
        last_change_date="2026-01-01T00:00:00+0000",
        rows_count=1,
        data_size_bytes=2,
        is_alias=draw(st.booleans()),
        indexed_columns=["a"],
        attributes=[{"name": "x"}],
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@given(tables(), st.sampled_from(["in", "out"]), st.booleans(), st.booleans())
def test_whatever_the_library_writes_of_a_table_is_accepted(
    table: TableDefinition, kind: str, legacy_queue: bool, legacy: bool
) -> None:
    told = table.get_manifest_dictionary(kind, legacy_queue, legacy)
    manifest = parsed(told)
    if kind == "out":
        assert manifest.warning is None
        assert bool(manifest.incremental) == bool(table.incremental)
        assert manifest.delimiter == table.delimiter


FLAGS = st.booleans()


@given(st.lists(WORDS, max_size=3), FLAGS, FLAGS, FLAGS, FLAGS, st.sampled_from(["in", "out"]))
def test_whatever_the_library_writes_of_a_file_is_accepted(
    tags: list[str], public: bool, permanent: bool, encrypted: bool, notify: bool, kind: str
) -> None:
    file = FileDefinition(
        "/data/out/files/1_a.pdf", "out", tags, public, permanent, encrypted, notify,
        id="1", created="2026-01-01T00:00:00+0000", size_bytes=3, max_age_days=15,
    )  # fmt: skip
    manifest = parse_file_manifest(json.dumps(file.get_manifest_dictionary(kind)).encode(), "out/files/a.manifest")
    assert (manifest.permanent or False) == permanent
    assert (manifest.warning is not None) == (kind == "in")


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"k" * 3000: 1}, f"unknown key `{'k' * 80}…`;"),
        ({"primary_key\n\x07s": ["id"]}, r"unknown key `primary_key\n\x07s` (did you mean `primary_key`?)"),
        ({"schema": [{"name": "c" * 3000, "x": 1}]}, f"`schema[0]` (`{'c' * 80}…`): unknown key `x`"),
        ({"description": ["x"]}, f"{FILE}: `description` is a list, expected a text"),
    ],
)
def test_a_message_holds_no_more_of_a_manifest_than_a_person_reads(raw: Any, told: str) -> None:
    assert told in refusal(raw)


def test_one_key_of_an_input_describes_it() -> None:
    warning = parse_manifest(json.dumps({"id": "in.c-a.b"}).encode(), FILE).warning
    assert warning is not None
    assert "`id` describes an input table and was ignored" in warning
