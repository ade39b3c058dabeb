"""Tables of files, manifests and mappings, and what becomes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from componentrun.agent.folder import FILE, FOLDER, Entry
from componentrun.agent.stageout.manifest import Manifest, parse_manifest
from componentrun.agent.stageout.outputs import Decision, decide
from componentrun.csv.columnfacts import ColumnFacts
from componentrun.csv.dialect import Dialect
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import OutputTable, StageOutPlan, Where


def files(*names: str) -> list[Entry]:
    return [Entry(name, FILE, 1) for name in names]


def decided(
    names: list[Entry],
    *tables: OutputTable,
    bucket: str | None = None,
    manifests: dict[str, Manifest | UserError] | None = None,
) -> Decision:
    return decide(names, manifests or {}, StageOutPlan("ns/run", tables, bucket))


@pytest.mark.parametrize(
    ("file", "mapped", "manifest", "bucket", "destination"),
    [
        ("bar.csv", "out.c-a.one", "out.c-b.two", "out.c-c", "out.c-a.one"),
        ("bar.csv", None, "out.c-b.two", "out.c-c", "out.c-b.two"),
        ("bar.csv", None, "two", "out.c-c", "out.c-c.two"),
        ("out.c-d.bar.csv", None, None, "out.c-c", "out.c-d.bar"),
        ("out.c-d.bar", None, None, None, "out.c-d.bar"),
        ("out.c-d.bar.csv", None, "out.c-b.two", None, "out.c-b.two"),
        ("bar.csv", None, None, "out.c-c", "out.c-c.bar"),
        ("bar", None, None, "out.c-c", "out.c-c.bar"),
        ("bar.csv.gz", None, None, "out.c-c", "out.c-c.bar"),
        ("bar.zst", None, None, "out.c-c", "out.c-c.bar"),
        ("out.c-d.bar.csv.gz", None, None, None, "out.c-d.bar"),
        ("bar.csv", None, None, None, None),
        (".gitkeep", None, None, "out.c-c", None),
    ],
)
def test_a_files_table(
    file: str, mapped: str | None, manifest: str | None, bucket: str | None, destination: str | None
) -> None:
    decision = decided(
        files(file),
        *([OutputTable(file, mapped)] if mapped else []),
        bucket=bucket,
        manifests={file: Manifest(destination=manifest)} if manifest else {},
    )
    assert [str(source.table) for source in decision.sources] == ([destination] if destination else [])
    assert not decision.errors
    assert bool(decision.warnings) == (destination is None)
    if destination is None:
        assert file in decision.warnings[0]


def test_a_hidden_file_is_not_said_to_lack_a_default_bucket() -> None:
    (warning,) = decided(files(".gitkeep"), bucket="out.c-c").warnings
    assert warning.endswith("gives no destination, and hidden files do not go to the default bucket.")
    (warning,) = decided(files(".gitkeep")).warnings
    assert warning.endswith("and the run has no default bucket.")


def test_a_name_that_makes_no_table_in_the_default_bucket_says_what_to_do() -> None:
    (error,) = decided(files("report.v2.csv"), bucket="out.c-c").errors
    assert error.message.startswith(
        "out/tables/report.v2.csv: no output mapping names it, and its own name makes no table in the default bucket "
        "`out.c-c`: `out.c-c.report.v2` is not a table id"
    )
    assert error.message.endswith("Give it a destination in the output mapping or in its manifest, or another name.")


@pytest.mark.parametrize(
    ("mapped", "manifest", "wanted"),
    [
        (OutputTable("b", "out.c-a.b"), Manifest(), (False, (), False)),
        (OutputTable("b", "out.c-a.b"), Manifest(None, None, ("k",), True, True), (True, ("k",), True)),
        (OutputTable("b", "out.c-a.b", False, ()), Manifest(None, None, ("k",), True), (False, (), False)),
        (OutputTable("b", "out.c-a.b", True, ("m",), True), Manifest(), (True, ("m",), True)),
    ],
)
def test_the_mapping_goes_before_the_manifest(
    mapped: OutputTable, manifest: Manifest, wanted: tuple[bool, tuple[str, ...], bool]
) -> None:
    (source,) = decided(files("b"), mapped, manifests={"b": manifest}).sources
    assert (source.incremental, source.primary_key, source.write_always) == wanted


def test_what_is_missing_is_named_with_what_is_there() -> None:
    decision = decided(files("a.csv", "b.csv"), OutputTable("bar.csv", "out.c-a.bar"))
    (error,) = decision.errors
    assert error.reason is Reason.OUTPUT_MISSING
    assert error.message.endswith("stores it as out.c-a.bar; the component wrote `a.csv`, `b.csv`")


def test_traps_orphans_and_broken_manifests_are_errors_and_the_rest_is_stored() -> None:
    entries = [Entry("trap.csv", "a symbolic link", 0), *files("good.csv", "bad.csv", "x.csv.manifest")]
    manifests: dict[str, Manifest | UserError] = {"x.csv": Manifest(), "bad.csv": UserError("bad manifest")}
    decision = decided(entries, OutputTable("trap.csv", "out.c-a.t"), bucket="out.c-a", manifests=manifests)
    assert [source.name for source in decision.sources] == ["good.csv"]
    assert [error.message.partition(",")[0] for error in decision.errors] == [
        "out/tables/trap.csv: found a symbolic link",
        "out/tables/x.csv.manifest: there is no file or folder `x.csv` beside it",
        "bad manifest",
    ]


def test_a_name_that_can_be_no_table_is_an_error_in_the_default_bucket_too() -> None:
    decision = decided(files("my table.csv"), bucket="out.c-a")
    assert "`my table` is not 1 to 96 letters" in decision.errors[0].message


def test_what_is_always_stored_goes_first_and_a_folder_is_sliced() -> None:
    entries = [Entry("a", FOLDER, 0), *files("b")]
    tables = (OutputTable("a", "out.c-a.a"), OutputTable("b", "out.c-a.b", write_always=True))
    assert [(source.name, source.sliced) for source in decided(entries, *tables).sources] == [
        ("b", False),
        ("a", True),
    ]


def test_the_mapping_says_key_and_deletions_before_the_manifest_does() -> None:
    manifest = Manifest(primary_key=("m",), delete_where=Where("m", "eq", ("1",)))
    other = Where("n", "ne", ("2",))
    tables = (
        OutputTable("a", "out.c-a.a"),
        OutputTable("b", "out.c-a.b", primary_key=("n",), delete_where=other),
        OutputTable("c", "out.c-a.c", primary_key=()),
    )
    plan = StageOutPlan("ns/run", tables)
    sources = decide(files("a", "b", "c"), dict.fromkeys("abc", manifest), plan).sources
    assert [(source.primary_key, source.delete_where) for source in sources] == [
        (("m",), manifest.delete_where),
        (("n",), other),
        ((), manifest.delete_where),
    ]


def test_a_manifest_that_is_called_as_the_file_was_before_it_was_compressed_is_told_its_name() -> None:
    (error,) = decided(files("a.csv.gz", "a.csv.manifest"), bucket="out.c-a", manifests={"a.csv": Manifest()}).errors
    assert error.message == (
        "out/tables/a.csv.manifest: there is no file or folder `a.csv` beside it; the manifest of `a.csv.gz` is called "
        "`a.csv.gz.manifest`"
    )


def test_an_optional_output_may_be_missing_and_an_orphan_manifest_may_not() -> None:
    optional = OutputTable("a", "out.c-a.a", optional=True)
    assert decided(files("b"), optional, bucket="out.c-a").errors == ()
    orphan = decided(files("a.manifest"), optional, manifests={"a": Manifest()})
    assert "there is no file or folder `a` beside it" in orphan.errors[0].message


def test_the_mappings_delimiter_and_enclosure_go_before_the_manifests_each_for_itself() -> None:
    manifest = Manifest(delimiter=";", enclosure="'")
    tables = (
        OutputTable("a", "out.c-a.a", delimiter="\t"),
        OutputTable("b", "out.c-a.b", enclosure=""),
        OutputTable("c", "out.c-a.c"),
        OutputTable("d", "out.c-a.d", delimiter="'"),
    )
    decision = decided(files("a", "b", "c", "d"), *tables, manifests=dict.fromkeys("abcd", manifest))
    assert [source.dialect for source in decision.sources] == [
        Dialect("\t", "'"),
        Dialect(";", ""),
        Dialect(";", "'"),
    ]
    assert decision.errors[0].message.startswith("out/tables/d: `delimiter` and `enclosure` are both")


ID = ColumnFacts("id", "INTEGER")
AND_N = ColumnFacts("n", "STRING")


@pytest.mark.parametrize(
    ("mapped", "manifest", "kind", "columns", "has_header", "facts"),
    [
        # Only `columns`, or the manifest, say that there is no header line.
        ({"columns": ("x",)}, Manifest(columns=("y",)), FILE, ("x",), None, ()),
        ({"columns": ("x",)}, Manifest(columns=("y",), has_header=True), FILE, ("x",), True, ()),
        ({"schema": (ID, AND_N)}, Manifest(), FILE, ("id", "n"), True, (ID, AND_N)),
        ({"schema": (ID, AND_N)}, Manifest(), FOLDER, ("id", "n"), None, (ID, AND_N)),
        ({"schema": (ID, AND_N)}, Manifest(columns=("n", "id")), FILE, ("n", "id"), None, (ID, AND_N)),
        ({"schema": (ID, AND_N), "columns": ("n", "id")}, Manifest(), FILE, ("n", "id"), None, (ID, AND_N)),
        ({}, Manifest(columns=("id",), facts=(ID,), has_header=False), FILE, ("id",), False, (ID,)),
        ({}, Manifest(facts=(ID,)), FILE, None, None, (ID,)),
        # What the manifest says of a header line goes before what the schema lets one expect.
        ({"schema": (ID,)}, Manifest(has_header=False), FILE, ("id",), False, (ID,)),
        ({"schema": (ID,)}, Manifest(has_header=True), FILE, ("id",), True, (ID,)),
        ({"schema": (ID,)}, Manifest(has_header=True), FOLDER, ("id",), True, (ID,)),
    ],
)
def test_columns_and_what_is_known_of_them(
    mapped: dict[str, Any],
    manifest: Manifest,
    kind: str,
    columns: tuple[str, ...] | None,
    has_header: bool | None,
    facts: tuple[ColumnFacts, ...],
) -> None:
    (source,) = decided(
        [Entry("a", kind, 1)], OutputTable("a", "out.c-a.a", **mapped), manifests={"a": manifest}
    ).sources
    assert (source.columns, source.has_header, source.facts) == (columns, has_header, facts)


def test_a_schema_of_other_columns_than_the_manifests_is_an_error() -> None:
    table = OutputTable("a", "out.c-a.a", schema=(ID,))
    (error,) = decided(files("a"), table, manifests={"a": Manifest(columns=("id", "n"))}).errors
    assert "its manifest has the columns `id`, `n`; the output mapping's schema says `id`" in error.message


OLD: dict[str, Any] = {
    "destination": "out.c-a.b",
    "columns": ["id", "n"],
    "primary_key": ["id"],
    "incremental": True,
    "delimiter": ",",
    "enclosure": '"',
    "metadata": [{"key": "k", "value": "v"}],
    "delete_where_column": "",
}
NEW: dict[str, Any] = {
    "manifest_type": "out",
    "has_header": False,
    "destination": "out.c-a.b",
    "incremental": True,
    "schema": [
        {"name": "id", "primary_key": True, "nullable": False, "data_type": {"base": {}}},
        {"name": "n", "data_type": {"base": {"type": "numeric", "length": "38,9"}}, "metadata": []},
    ],
    "table_metadata": {"k": "v"},
    "description": "all of them",
}
METADATA = [
    {"key": "KBC.datatype.basetype", "value": "INTEGER"},
    {"key": "KBC.datatype.type", "value": "INT"},
    {"key": "KBC.datatype.nullable", "value": True},
    {"key": "KBC.datatype.length", "value": 11},
    {"key": "KBC.datatype.default", "value": "7"},
    {"key": "KBC.description", "value": "the key"},
    {"key": "n", "value": 1},
    {"key": "nothing", "value": None},
]


@pytest.mark.parametrize(
    ("raw", "manifest"),
    [
        (OLD, Manifest("out.c-a.b", ("id", "n"), ("id",), True, delimiter=",", enclosure='"', metadata={"k": "v"})),
        (
            NEW,
            Manifest(
                "out.c-a.b",
                ("id", "n"),
                ("id",),
                True,
                has_header=False,
                facts=(ColumnFacts("id", nullable=False), ColumnFacts("n", "NUMERIC", "38,9")),
                metadata={"k": "v", "KBC.description": "all of them"},
            ),
        ),
        ({"delimiter": "\t", "enclosure": ""}, Manifest(delimiter="\t", enclosure="")),
        ({"delimiter": "", "enclosure": None}, Manifest()),
        ({"metadata": {}, "table_metadata": [], "column_metadata": []}, Manifest()),
        (
            {"column_metadata": {"id": METADATA, "n": []}},
            Manifest(
                facts=(
                    ColumnFacts("id", "INTEGER", "11", "7", True, "the key", {"KBC.datatype.type": "INT", "n": "1"}),
                )
            ),
        ),
        (
            {"delete_where": [{"where_filters": [{"column": "id", "operator": "ne", "values_from_set": ["1"]}]}]},
            Manifest(delete_where=Where("id", "ne", ("1",))),
        ),
        ({}, Manifest()),
        (
            {"delete_where_column": "id", "delete_where_values": ["1", 2], "delete_where_operator": "ne"},
            Manifest(delete_where=Where("id", "ne", ("1", "2"))),
        ),
        (
            {"delete_where_column": "id", "delete_where_values": [""]},
            Manifest(delete_where=Where("id", "eq", ("",))),
        ),
        ({"primary_key": [""], "columns": []}, Manifest(primary_key=())),
        ({"primary_key": [], "columns": [""]}, Manifest(primary_key=())),
        (
            {"column_metadata": {"a": [{"key": "KBC.datatype.basetype", "value": "VARCHAR"}]}},
            Manifest(facts=(ColumnFacts("a", metadata={"KBC.datatype.basetype": "VARCHAR"}),)),
        ),
        (
            {"column_metadata": {"a": [{"key": "KBC.datatype.nullable", "value": "perhaps"}]}},
            Manifest(facts=(ColumnFacts("a", metadata={"KBC.datatype.nullable": "perhaps"}),)),
        ),
        (
            {"delete_where_column": "id", "delete_where_values": [1, 2.5, "x"]},
            Manifest(delete_where=Where("id", "eq", ("1", "2.5", "x"))),
        ),
        ({"incremental": 1, "write_always": True}, Manifest(incremental=True, write_always=True)),
        ({"destination": "", "incremental": None}, Manifest()),
    ],
)
def test_both_forms_of_a_manifest(raw: dict[str, Any], manifest: Manifest) -> None:
    assert parse_manifest(json.dumps(raw).encode(), "x") == manifest
    assert parse_manifest(b"\xef\xbb\xbf" + json.dumps(raw).encode(), "x") == manifest


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "it is not valid JSON: line 1, column 2"),
        ("[1]", "it is a list, expected an object"),
        ('"x"', "it is a text, expected an object"),
        ("null", "it is null, expected an object"),
        ('{"columns": "a,b"}', "`columns` is a text, expected a list of names"),
        ('{"columns": ["a", true]}', "`columns[1]` is true or false, expected a name"),
        ('{"columns": ["a", null]}', "`columns[1]` is null, expected a name"),
        ('{"columns": ["a", 1.5]}', "`columns[1]` is a number, expected a name"),
        ('{"columns": {"a": "b"}}', "`columns` is an object, expected a list of names"),
        ('{"columns": ["a", "a"]}', "column `a` is there twice"),
        ('{"columns": ["a", ""]}', "the name of column 2 is empty"),
        ('{"primary_key": "id"}', "`primary_key` is a text, expected a list of names"),
        ('{"incremental": "yes"}', "`incremental` is a text, expected true or false"),
        ('{"incremental": [1]}', "`incremental` is a list, expected true or false"),
        ('{"destination": 1}', "`destination` is a number, expected a text"),
        ('{"schema": {"a": 1}}', "`schema` is an object, expected a list of columns"),
        ('{"schema": ["a"]}', "`schema[0]` is no column"),
        ('{"delimiter": ";;"}', "`delimiter` is ';;'; expected one ASCII character"),
        ('{"delimiter": ["x"]}', "`delimiter` is a list, expected a text"),
        ('{"enclosure": "\'\'"}', "`enclosure` is \"''\"; expected one ASCII character, or none"),
        ('{"delimiter": ";", "enclosure": ";"}', "`delimiter` and `enclosure` are both ';'"),
        ('{"metadata": {"k": "v"}}', "`metadata`: expected a list of objects with `key` and `value`"),
        ('{"table_metadata": ["k"]}', "`table_metadata` is a list, expected an object"),
        ('{"table_metadata": {"k": {}}}', "`table_metadata.k` is an object, expected a text"),
        ('{"column_metadata": ["k"]}', "`column_metadata` is a list, expected an object of lists"),
        ('{"column_metadata": {"a": {"k": 1}}}', "`column_metadata` of `a`: expected a list of objects"),
        (
            '{"schema": [{"name": "a", "data_type": {"base": {"type": "INT"}}}]}',
            "`schema[0]` (`a`): `data_type.base.type` is 'INT'; expected one of STRING, INTEGER",
        ),
        ('{"schema": [{"name": "a", "nullable": "no"}]}', "`schema[0]` (`a`): `nullable` is 'no', expected true or"),
        ('{"schema": [{"name": "a", "data_type": "INTEGER"}]}', "`schema[0]` (`a`): `data_type` is no object"),
        ('{"schema": [{"name": "a"}, {"name": "a"}]}', "column `a` is there twice"),
        ('{"delete_where": [{"where_filters": []}]}', "`delete_where` is not one filter"),
        ('{"delete_where": [{}, {}]}', "`delete_where` is not one filter"),
        ('{"delete_where_column": "id"}', "`delete_where_values` is not; expected a list of values"),
        ('{"delete_where_column": "id", "delete_where_values": []}', "`eq` needs at least one value"),
        (
            '{"delete_where_column": "id", "delete_where_values": ["1", true]}',
            "`delete_where_values[1]` is true or false, expected a text or a number",
        ),
        (
            '{"delete_where_column": "id", "delete_where_values": [null]}',
            "`delete_where_values[0]` is null, expected a text or a number",
        ),
        ('{"delete_where_column": 1, "delete_where_values": ["1"]}', "`delete_where_column` is a number"),
        (
            '{"delete_where_column": "id", "delete_where_values": ["1"], "delete_where_operator": "gt"}',
            "`delete_where_operator` is 'gt'; expected 'eq' or 'ne'",
        ),
        ("[" * 100_000, "its JSON is nested too deeply"),
        (r'{"columns": ["\ud800"]}', "half of a surrogate pair"),
    ],
)
def test_what_a_manifest_may_not_say(text: str, problem: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_manifest(text.encode(), "out/tables/x.csv.manifest")
    assert caught.value.message.startswith("out/tables/x.csv.manifest: ")
    assert problem in caught.value.message


def test_a_manifest_that_is_no_text() -> None:
    with pytest.raises(UserError, match="it is not UTF-8"):
        parse_manifest(b'{"a": "\xff"}', "x")


def test_a_manifest_that_says_escaped_by_is_read_with_a_warning() -> None:
    """Components of 2015 copied it from the documentation, mostly for files in which nothing is escaped."""
    manifest = parse_manifest(b'{"escaped_by": "\\\\", "delimiter": "\\t"}', "out/tables/a.manifest")
    decision = decided(files("a"), OutputTable("a", "out.c-a.a"), manifests={"a": manifest})
    assert [source.dialect.delimiter for source in decision.sources] == ["\t"]
    (warning,) = decision.warnings
    assert warning.startswith("out/tables/a.manifest: its `escaped_by` was ignored: nothing is escaped here;")
    assert parse_manifest(b'{"escaped_by": ""}', "a").warning is None
