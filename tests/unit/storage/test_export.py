"""Export to Parquet, read back with DuckDB: every value is there as it was, or the export says which is not."""

from __future__ import annotations

import tempfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from componentrun import tablequery
from componentrun.errors import PlatformError, Reason, UserError
from componentrun.exchange import SliceWritten, TableWritten, Where
from componentrun.storage.columns import Column
from componentrun.storage.commit import publish
from componentrun.storage.connection import Store
from componentrun.storage.export import export_parquet
from componentrun.storage.layout import TableId
from componentrun.storage.settings import StoreSettings
from componentrun.storage.tables import need_table
from componentrun.storage.upload import upload_table
from tests.unit.mapping.model import ModelTable, encode
from tests.unit.storage.scenarios import new_store, result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.storage.pointer import Pointer

FOO = TableId.parse("in.c-main.foo")
Row = tuple[str, ...]
VALUES = st.one_of(
    st.sampled_from(["", " ", "NULL", '"', '""', ",", "\n", "\r", "a\r\nb", "\\N", "'", "0", "é", "\0", "x" * 300]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)


async def load(store: Store, run: str, columns: Row, rows: Sequence[Row], **more: Any) -> Pointer:
    """Load rows, two in a slice."""
    slices = []
    for number in range(0, len(rows), 2):
        data = encode(rows[number : number + 2], quote_all=len(columns) == 1)
        key = f"{store.layout.data(run, 1)}{number:05d}.csv"
        slices.append(SliceWritten(key, len(data), len(rows[number : number + 2]), await store.put(key, data)))
    told: dict[str, Any] = {"primary_key": (), "incremental": False, "write_always": False, **more}
    written = TableWritten("foo.csv", str(FOO), columns, slices=tuple(slices), rows=len(rows), size=0, **told)
    await publish(store, run, 1, result(written))
    return (await need_table(store, FOO)).pointer


def typed(pointer: Pointer, *types: str | None) -> Pointer:
    columns = tuple(Column(name=column.name, type=type_) for column, type_ in zip(pointer.columns, types, strict=True))
    return pointer.model_copy(update={"columns": columns})


async def exported(store: Store, pointer: Pointer, *, text: bool = False) -> tuple[Row, list[tuple[Any, ...]]]:
    """Names and rows of the file."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "it's.parquet"
        count = await export_parquet(store, pointer, target, text=text)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            kinds = connection.execute("DESCRIBE FROM read_parquet(?)", [str(target)]).fetchall()
            names = tuple(kind[0] for kind in kinds)
            # Python gets times with a zone only where a package of zones is installed.
            zoned = [name for name, kind, *_ in kinds if kind == "TIMESTAMP WITH TIME ZONE"]
            more = "".join(f" REPLACE (timezone('UTC', {name}) AS {name})" for name in zoned)
            query = f"SELECT *{more} FROM read_parquet(?)"  # noqa: S608 - made here
            rows = connection.execute(query, [str(target)]).fetchall()
            codecs = connection.execute(
                "SELECT DISTINCT compression FROM parquet_metadata(?)", [str(target)]
            ).fetchall()
    assert count == len(rows)
    assert codecs in ([], [("ZSTD",)])
    return names, rows


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4).flatmap(lambda width: st.tuples(
    st.lists(NAMES, min_size=width, max_size=width, unique_by=lambda name: name.lower()),
    st.lists(st.tuples(*[VALUES] * width), max_size=9),
)))  # fmt: skip
async def test_every_value_comes_out_as_it_went_in(table: tuple[list[str], list[Row]]) -> None:
    columns, rows = tuple(table[0]), table[1]
    store = new_store()
    assert await exported(store, await load(store, "r0", columns, rows)) == (columns, rows)


LOADS = st.lists(
    st.tuples(
        st.sampled_from([("a", "b"), ("a", "b", "c")]),
        st.lists(st.tuples(*[st.sampled_from("012")] * 3), max_size=4),
        st.booleans(),
        st.sampled_from([None, ("eq", ("1",)), ("ne", ("0", "1"))]),
    ),
    min_size=1, max_size=5,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(LOADS, st.sampled_from([(), ("a",), ("a", "b")]))
async def test_rows_are_those_that_a_reader_of_the_table_sees(loads: list[Any], key: tuple[str, ...]) -> None:
    store, model = new_store(), ModelTable()
    pointer = None
    for number, (columns, rows, incremental, delete) in enumerate(loads):
        all_columns = tuple(model.columns) if set(model.columns) > set(columns) else columns
        part = [row[: len(all_columns)] for row in rows]
        if delete is not None and incremental and model.columns:
            model.delete("a", *delete)
        model.load(all_columns, part, incremental=incremental, key=key)
        where = Where("a", *delete) if delete is not None else None
        more = {"incremental": incremental, "primary_key": key, "delete_where": where}
        pointer = await load(store, f"r{number}", all_columns, part, **more)
    assert pointer is not None
    header, *body = model.content()
    assert await exported(store, pointer) == (header, body)


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("STRING", {"": "", "1": "1", " x ": " x "}),
        ("INTEGER", {"": None, "7": 7, "-007": -7, "+1": 1, "9223372036854775807": 2**63 - 1}),
        ("FLOAT", {"": None, "1": 1.0, "-0.5": -0.5, ".5": 0.5, "1e3": 1000.0, "0.1": 0.1}),
        ("NUMERIC", {"": None, "1": Decimal(1), "-0.5": Decimal("-0.5"), "00.1000000000000": Decimal("0.1"),
                     "12345678901234567890123456789.123456789": Decimal("12345678901234567890123456789.123456789")}),
        ("BOOLEAN", {"": None, "true": True, "FALSE": False, "1": True, "0": False}),
        ("DATE", {"": None, "2024-02-29": date(2024, 2, 29), "0001-01-01": date(1, 1, 1)}),
        ("TIMESTAMP", {"": None, "2024-02-29": datetime.fromisoformat("2024-02-29"),
                       "2026-01-31 12:00": datetime.fromisoformat("2026-01-31T12:00"),
                       "2026-01-31T12:00:00.123456": datetime.fromisoformat("2026-01-31T12:00:00.123456"),
                       "2026-01-31T12:00:00+02:00": datetime.fromisoformat("2026-01-31T10:00"),
                       "2026-01-31T12:00:00Z": datetime.fromisoformat("2026-01-31T12:00")}),
    ],
)  # fmt: skip
async def test_a_column_whose_type_is_known_has_values_of_that_type(type_: str, values: dict[str, Any]) -> None:
    store = new_store()
    pointer = await load(store, "r0", ("a",), [(value,) for value in values])
    assert await exported(store, typed(pointer, type_)) == (("a",), [(value,) for value in values.values()])
    assert await exported(store, typed(pointer, type_), text=True) == (("a",), [(value,) for value in values])


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        *[("INTEGER", value) for value in ("x", "1.5", " 5", "1e3", "0x10", "1_000", "-", "9223372036854775808")],
        *[("FLOAT", value) for value in ("x", "1,5", "nan", "inf", " 1", "1e999", ".", "1e")],
        *[("NUMERIC", value) for value in ("x", "1e3", ".", "0.1234567891", "1" * 30, "-")],
        *[("BOOLEAN", value) for value in ("yes", "t", "2", " true")],
        *[("DATE", value) for value in ("2026-1-1", "2026-02-30", "2026-01-31 10:00", "today", "infinity", "1.2.2026")],
        *[("TIMESTAMP", value) for value in ("2026-02-30", "epoch", "2026-01-31T25:00:00", "1769860800",
                                             "2026-01-31T12:00:00.1234567", "2026-01-31T12:00:00 Europe/Prague")],
    ],
)  # fmt: skip
async def test_a_value_that_is_not_of_its_columns_type_is_named_and_never_left_out(type_: str, value: str) -> None:
    store = new_store()
    pointer = await load(store, "r0", ("id", "the a"), [("1", ""), ("2", value)])
    with pytest.raises(UserError, match="--text") as refusal:
        await exported(store, typed(pointer, None, type_))
    assert refusal.value.reason is Reason.INPUT_INVALID
    assert refusal.value.message.startswith(f"`in.c-main.foo` can't become Parquet: the column `the a` is {type_}, ")
    assert f"`{value}`" in refusal.value.message
    assert await exported(store, typed(pointer, None, type_), text=True) == (("id", "the a"), [("1", ""), ("2", value)])


async def test_a_number_has_the_digits_that_its_column_says() -> None:
    store = new_store()
    pointer = await load(store, "r0", ("a",), [("12.50",), ("",), ("-0.1",)])
    decimals = Column(name="a", type="NUMERIC", length="5,2")
    _, rows = await exported(store, pointer.model_copy(update={"columns": (decimals,)}))
    assert [row[0] for row in rows] == [Decimal("12.50"), None, Decimal("-0.10")]
    assert {row[0].as_tuple().exponent for row in rows if row[0] is not None} == {-2}
    whole = Column(name="a", type="NUMERIC", length="5")
    with pytest.raises(UserError, match=r"`12\.50` there, which is no number of 5 digits, 0 of them behind the point"):
        await exported(store, pointer.model_copy(update={"columns": (whole,)}))


async def test_a_value_in_a_message_is_cut_and_stands_on_one_line() -> None:
    store = new_store()
    pointer = await load(store, "r0", ("a\nb",), [("it's\n" + "x" * 100,)])
    with pytest.raises(UserError, match=r"the column `a b` is DATE, and a row has `it's x{55}` there") as refusal:
        await exported(store, typed(pointer, "DATE"))
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize(("columns", "told"), [(("id", "ID"), "`id` and `ID` differ"), (("a\0",), "NUL character")])
async def test_columns_that_no_parquet_file_can_have_are_refused(columns: Row, told: str) -> None:
    store = new_store()
    pointer = await load(store, "r0", columns, [("1",) * len(columns)])
    with pytest.raises(UserError, match=told):
        await exported(store, pointer)


async def test_a_table_larger_than_the_memory_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tablequery, "memory_for_queries", lambda *_: 64 * 2**20)
    store = new_store()
    columns = ("a", "b", "c", "d", "e")
    rows = [tuple(f"{row} {name} {'y' * 200}" for name in columns) for row in range(80_000)]  # 87 MB
    data = encode(rows)
    key = f"{store.layout.data('r0', 1)}0.csv"
    part = SliceWritten(key, len(data), len(rows), await store.put(key, data))
    written = TableWritten("foo.csv", str(FOO), columns, (), False, False, (part,), len(rows), len(data))
    await publish(store, "r0", 1, result(written))
    assert await exported(store, (await need_table(store, FOO)).pointer) == (columns, rows)


async def test_a_full_disk_is_told_with_the_folder_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    store = new_store()
    pointer = await load(store, "r0", ("a",), [("1",)])

    def full(_statements: Sequence[str], _folder: str) -> int:
        raise UserError("full", Reason.DISK_FULL)

    monkeypatch.setattr("componentrun.storage.export.run_statements", full)
    with pytest.raises(UserError, match="make room, or set TMPDIR"):
        await exported(store, pointer)


async def test_a_slice_that_is_gone_is_an_error() -> None:
    store = new_store()
    pointer = await load(store, "r0", ("a",), [("1",)])
    await store.delete([pointer.slices[0].key])
    with pytest.raises(PlatformError, match="no such object"):
        await exported(store, pointer)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
async def test_slices_are_exported_whatever_they_are_compressed_with(tmp_path: Path, compression: Any) -> None:
    endpoint = "http://store.test"
    store = Store(StoreSettings(bucket="bucket", endpoint=endpoint, compression=compression), MemoryStore())
    rows = [(str(i), f'row "{i % 7}",\nof many') for i in range(20_000)]
    file = tmp_path / "foo.csv"
    file.write_bytes(encode([("id", "text"), *rows]))
    pointer = (await upload_table(store, file, FOO)).pointer
    assert {part.encoding or "none" for part in pointer.slices} == {compression}
    assert await exported(store, pointer) == (("id", "text"), rows)
