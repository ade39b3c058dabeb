"""Names of tables in an Iceberg catalog: every id has its own, and gets itself back."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.loader.catalog.names import MAX_NAME, bucket_of, events_table, from_iceberg, namespace_of, to_iceberg
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.keys import TableId

PLAIN = re.compile(r"[a-z](?:[a-z0-9_]*[a-z0-9])?")
"""What Spark, Trino, DuckDB, Athena, S3 Tables and SeaweedFS take without quotes."""

# Many of what matters to the mapping, so that examples meet in it: separators, escapes, hexadecimal digits.
ODD = st.text("x_-4fA1z", min_size=1, max_size=12)
PART = st.one_of(
    ODD, st.text("abcXYZ019_-", min_size=1, max_size=96), st.from_regex(r"[A-Za-z0-9_-]{1,96}", fullmatch=True)
)
IDS = st.builds(TableId, st.sampled_from(["in", "out"]), PART, PART)
WORDS = st.lists(
    st.text("inoutx41a", min_size=1, max_size=4).filter(lambda word: word not in {"in", "out"}), max_size=4
)
PREFIXES = WORDS.map(lambda words: "".join(f"{word}_" for word in words)).filter(
    lambda prefix: not prefix or prefix[0].isalpha()
)
FOREIGN = st.one_of(st.text("x_-4f1az", max_size=12), st.text(max_size=8))


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("out.c-main.bar", "out_c_main.bar"),
        ("in.c-main.daily_sales_2026", "in_c_main.daily_sales_2026"),
        ("in.c-a--b.a__b", "in_c_a__b.a__b"),
        ("in.c_main.my-table", "in_c_x5f_main.my_x2d_table"),
        ("in.C-Main.Orders", "in_x43___x4d_ain.x4f_rders"),
        ("in.c-main.ORDERS", "in_c_main.x4f5244455253"),
        ("in.c-main.orderID", "in_c_main.order_x4944"),
        ("in.2026.1st", "in_x32_026.x31_st"),
        ("in.-a-._a_", "in_x2d_a_x2d.x5f_a_x5f"),
        ("in.c-x41-b.a_x41_b", "in_c_x2d_x41_b.a_x5f_x41_b"),
        ("in.x41.x41", "in_x78_41.x78_41"),
        ("in.c-main.a_x41", "in_c_main.a_x5f_x41"),
        ("in.c-main.a_x4_b", "in_c_main.a_x4_b"),
        ("in.c-main.a_x41b", "in_c_main.a_x41b"),
        ("in.c-main.export", "in_c_main.export"),
        ("in.-._", "in_x2d.x5f"),
    ],
)
def test_a_table_is_called_so_in_the_catalog(table: str, name: str) -> None:
    assert str(to_iceberg("", TableId.parse(table))) == name
    assert from_iceberg("", *name.split(".")) == TableId.parse(table)


@given(PREFIXES, IDS)
def test_an_id_gets_itself_back_from_names_that_need_no_quotes(prefix: str, table: TableId) -> None:
    found = to_iceberg(prefix, table)
    assert from_iceberg(prefix, *found) == table
    assert bucket_of(prefix, found.namespace) == table.bucket_id
    assert namespace_of(prefix, table.bucket_id) == found.namespace
    assert PLAIN.fullmatch(found.namespace)
    assert PLAIN.fullmatch(found.name)


@given(PREFIXES, PREFIXES, IDS, IDS)
def test_no_two_ids_share_their_names_not_even_of_two_storages(
    prefix: str, another: str, one: TableId, other: TableId
) -> None:
    same = (prefix, one) == (another, other)
    assert (to_iceberg(prefix, one) == to_iceberg(another, other)) is same
    assert (from_iceberg(another, *to_iceberg(prefix, one)) is None) is (prefix != another)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_of_all_short_ids_of_the_odd_characters_none_is_called_like_another(length: int) -> None:
    parts = ["".join(letters) for letters in itertools.product("x_-4A", repeat=length)]
    tables = [TableId("in", part, part) for part in parts]
    names = [to_iceberg("", table) for table in tables]
    assert len({name.namespace for name in names}) == len({name.name for name in names}) == len(parts)
    assert [from_iceberg("", *name) for name in names] == tables


@given(PREFIXES, FOREIGN, FOREIGN)
def test_a_name_of_others_is_nobodys_unless_an_id_is_called_so(prefix: str, namespace: str, name: str) -> None:
    for found in (namespace, f"{prefix}in_{namespace}", f"{prefix}{namespace}"):
        table = from_iceberg(prefix, found, name)
        assert table is None or to_iceberg(prefix, table) == (found, name)
        bucket = bucket_of(prefix, found)
        assert bucket is None or namespace_of(prefix, bucket) == found


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        ("analytics", "t"),
        ("in_", "t"),
        ("in", "t"),
        ("in_c_main", ""),
        ("in_c_main", "Orders"),
        ("in_c_main", "my-table"),
        ("in_c_main", "2026"),
        ("in_c_main", "_t"),
        ("in_c_main", "t_"),
        ("in_c_main", "a_x62_c"),  # `b` needs no escape
        ("in_c_main", "a_x2E_c"),
        ("in_c_main", "a_x2e_c"),  # a dot
        ("in_c_main", "a_xc3a9_c"),
        ("in_c_main", "a_x2d__x2d_b"),  # two escapes where one is written
        ("in_c_main", "t\n"),
        ("in_c_main\n", "t"),
        ("in_c-main", "t"),
        ("IN_c_main", "t"),
        ("in_c_main", "a" * 97),
        ("in_" + "a" * 97, "t"),
        ("in.c_main", "t"),
        ("in_c_main", "\ud800"),
    ],
)
def test_such_names_are_somebody_elses(namespace: str, name: str) -> None:
    assert from_iceberg("", namespace, name) is None


@given(IDS)
def test_names_fit_into_catalogs_with_the_longest_prefix(table: TableId) -> None:
    found = to_iceberg("a" * 31 + "_", table)
    assert max(map(len, found)) <= MAX_NAME


@pytest.mark.parametrize("part", ["aA" * 48, "A" * 96, "-_" * 48, "A_" * 48, "_x41" * 24])
def test_the_longest_names_fit_into_catalogs_and_come_back(part: str) -> None:
    prefix = "a" * 31 + "_"
    table = TableId("out", part, part)
    found = to_iceberg(prefix, table)
    assert max(map(len, found)) <= MAX_NAME
    assert from_iceberg(prefix, *found) == table


@given(PREFIXES)
def test_settings_accept_the_prefixes_that_keep_storages_apart(prefix: str) -> None:
    if len(prefix) <= 32:
        assert CatalogSettings(uri="http://c", warehouse="w", namespace_prefix=prefix).namespace_prefix == prefix


@given(PREFIXES, PREFIXES, IDS)
def test_no_table_id_is_called_like_the_table_of_events(prefix: str, other: str, table: TableId) -> None:
    events = events_table(prefix)
    assert to_iceberg(other, table) != events
    assert from_iceberg(other, *events) is None
    assert bucket_of(other, events.namespace) is None
    assert prefix == other or events_table(other) != events


def test_the_table_of_events_has_a_name_that_needs_no_quotes() -> None:
    assert str(events_table("")) == "componentrun.events"
    assert str(events_table("team_")) == "team_componentrun.events"
    assert PLAIN.fullmatch(events_table("team_").namespace)
