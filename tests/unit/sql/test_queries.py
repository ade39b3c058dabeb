"""What DuckDB makes of files, against plain Python: values byte for byte, conditions, keys, deletions, limits."""

from __future__ import annotations

import dataclasses
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.csv.text import encode_header
from componentrun.errors import ComponentRunError, PlatformError, Reason, UserError
from componentrun.sql import files as tablefiles
from componentrun.sql import query as tablequery
from componentrun.sql.files import make_ready, with_header_columns
from componentrun.sql.query import deliver, memory_for_queries
from componentrun.sql.tables import Mapping, Step, check_where
from componentrun.wire.agents import Where
from tests.unit.sql.model import ModelTable, decode, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

AB = ("a", "b")
VALUES = st.one_of(
    st.sampled_from(["", " ", "x", "NULL", '"', '""', ",", "\n", "\r", "a\r\nb", "\\", "\\N", "#", "'", "0", "\ufeff"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)  # fmt: skip


def asked(mapping: Mapping, *steps: bytes) -> list[tuple[str, ...]]:
    """What is delivered of these files, one for each step that has rows."""
    return decode(delivered(mapping, *steps))


def delivered(mapping: Mapping, *steps: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files: list[list[str]] = []
        for number, content in enumerate(steps):
            files.append([])
            if content:
                file = folder / f"it's {number}"
                file.write_bytes(content)
                make_ready(str(file))
                files[-1].append(str(file))
        rows = deliver(mapping, files, str(folder / "out"), name)
        data = (folder / "out").read_bytes()
        assert rows == len(decode(data)) - 1
        return data


def table(columns: tuple[str, ...] = AB, **more: Any) -> Mapping:
    return Mapping(columns, (Step(columns),), **more)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 5).flatmap(lambda width: st.lists(st.tuples(*[VALUES] * width), max_size=12)),
       st.sampled_from(["\n", "\r\n"]), st.booleans())  # fmt: skip
def test_every_value_comes_out_as_it_went_in(rows: list[tuple[str, ...]], end: str, quote_all: bool) -> None:
    columns = tuple(f"c {i}" for i in range(len(rows[0]) if rows else 2))
    assert asked(table(columns, limit=100), encode(rows, end=end, quote_all=quote_all)) == [columns, *rows]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(VALUES, VALUES), max_size=12),
    st.lists(st.sampled_from(["\n", "\r\n"]), min_size=12, max_size=12),
)
def test_rows_may_end_in_different_ways(rows: list[tuple[str, str]], ends: list[str]) -> None:
    content = b"".join(encode([row], end=end) for row, end in zip(rows, ends, strict=False))
    assert asked(table(limit=100), content) == [AB, *rows]


def test_a_value_that_begins_as_a_byte_order_mark_does_keeps_it() -> None:
    rows = [("\ufeff1", "x"), ("\ufeff", "\ufeff\ufeff")]
    assert asked(table(limit=9), encode(rows)) == [AB, *rows]
    assert asked(table(limit=9), encode(rows, quote_all=True)) == [AB, *rows]
    assert asked(table(primary_key=("a",)), encode(rows, end="\r\n")) == [AB, *rows]
    assert asked(table(("a",), limit=9), "\ufeff\n1\n".encode()) == [("a",), ("\ufeff",), ("1",)]


def test_a_mark_is_put_before_it_wherever_the_chunks_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for chunk in range(1, 12):
        monkeypatch.setattr(tablefiles, "_CHUNK_BYTES", chunk)
        file = tmp_path / "x"
        file.write_bytes("\ufeff1,2\n3,4\n".encode())
        make_ready(str(file))
        assert file.read_bytes() == "\ufeff\ufeff1,2\n3,4\n".encode()
        file.write_bytes("\ufeffa\n\ufeff1\n".encode())
        assert with_header_columns(str(file), "x") == ("a",)
        assert file.read_bytes() == "\ufeff\ufeff1\n".encode()


def test_names_of_columns_stay_as_they_are() -> None:
    names = ("id", "ID", "a b", 'q"q', "x,y", "n\nl", " sp ", "ž", "#h", "it's", "", "select", "c0")
    names = tuple(name or "filled" for name in names)
    row = tuple(str(i) for i in range(len(names)))
    assert asked(table(names, limit=1), encode([row])) == [names, row]
    chosen = ("ID", "it's", "n\nl", "id")
    assert asked(table(names, select=chosen), encode([row])) == [chosen, ("1", "9", "5", "0")]


def test_a_wide_table() -> None:
    names = tuple(f"column {i}" for i in range(2000))
    rows = [tuple(f"{i},{j}" for j in range(2000)) for i in range(5)]
    assert asked(table(names, select=names[::-1]), encode(rows)) == [names[::-1], *(row[::-1] for row in rows)]


def test_an_empty_value_of_a_single_column_is_no_empty_line() -> None:
    assert delivered(table(select=("b",)), b'1,\n2,""\n3,x\n') == b'b\n""\n""\nx\n'


def test_no_rows_are_a_header_only() -> None:
    header = encode_header(AB)
    assert delivered(table(limit=1), b"") == header
    assert delivered(table(where=Where("a", "eq", ("no",))), b"1,2\n") == header
    assert delivered(table(primary_key=("a",)), b"") == header


WHERE = [
    "",
    "1",
    "x",
    "-5",
    "007",
    "1e3",
    "9007199254740993",
    "9007199254740992",
    " 1",
    "nan",
    "inf",
    "0x1",
    "1_0",
    "1.5",
]


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (Where("a", "eq", ("1", "")), ["", "1"]),
        (Where("a", "ne", ("1", "", "x")), WHERE[3:]),
        (Where("a", "eq", ("it's",)), []),
        (Where("a", "gt", ("9007199254740992",), "number"), ["9007199254740993"]),
        (Where("a", "ge", ("1000",), "number"), ["1e3", "9007199254740993", "9007199254740992"]),
        (Where("a", "lt", ("1.5",), "number"), ["1", "-5"]),
        (Where("a", "le", ("1.5",), "number"), ["1", "-5", "1.5"]),
        (Where("a", "le", ("+7",), "number"), ["1", "-5", "007", "1.5"]),
    ],
)
def test_conditions(where: Where, kept: list[str]) -> None:
    rows = [(value, str(i)) for i, value in enumerate(WHERE)]
    assert [row[0] for row in asked(table(where=where), encode(rows))[1:]] == kept


TIMES = [
    "2026-01-31",
    "2026-01-31T12:00:00Z",
    "2026-01-31 14:00:00+02:00",
    "2026-01-31 12:00:00.5",
    "",
    "soon",
    "31.1.2026",
]


@pytest.mark.parametrize(
    ("operator", "value", "kept"),
    [
        ("gt", "2026-01-31T12:00:00", [3]),
        ("ge", "2026-01-31T13:00:00+01:00", [1, 2, 3]),
        ("lt", "2026-01-31T12:00:00Z", [0]),
        ("le", "2026-01-31", [0]),
    ],
)
def test_times(operator: str, value: str, kept: list[int]) -> None:
    rows = [(text, str(i)) for i, text in enumerate(TIMES)]
    found = asked(table(where=Where("a", operator, (value,), "timestamp")), encode(rows))
    assert [int(row[1]) for row in found[1:]] == kept


@pytest.mark.parametrize(
    "where",
    [
        Where("a", "like", ("1",)),
        Where("a", "eq", ()),
        Where("a", "eq", ("1",), "number"),
        Where("a", "eq", ("\0",)),
        Where("a", "gt", ("1", "2"), "number"),
        Where("a", "gt", ("x",), "number"),
        Where("a", "gt", ("1",)),
        Where("a", "gt", ("1",), "timestamp"),
        Where("a", "gt", ("1'; --",), "number"),
    ],
)
def test_a_condition_that_can_not_be_is_refused(where: Where) -> None:
    with pytest.raises(ValueError, match=r"expected|needs|takes|compares|NUL"):
        check_where(where)


SMALL = st.sampled_from(["", "x", "y", "z"])
CHANGES = st.lists(
    st.one_of(
        st.lists(st.tuples(SMALL, SMALL, SMALL), max_size=5),
        st.builds(Where, st.sampled_from(["a", "b", "c"]), st.sampled_from(["eq", "ne"]),
                  st.lists(SMALL, min_size=1, max_size=2).map(tuple)),
    ),
    max_size=6,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(CHANGES, st.sampled_from([(), ("a",), ("b", "a")]), st.integers(1, 3), st.sets(st.integers(0, 5), max_size=3))
def test_any_history_is_what_the_model_says(
    changes: Sequence[list[tuple[str, str, str]] | Where], key: tuple[str, ...], first: int, inserted: set[int]
) -> None:
    model = ModelTable(["a", "b", "c"], key)
    steps, files = [], []
    for number, change in enumerate(changes):
        if isinstance(change, Where):
            model.delete(change.column, change.operator, change.values)
            steps.append(Step(None, change))
            files.append(b"")
            continue
        columns = ("a", "b", "c")[: 3 if number >= first else 2]
        columns = columns[::-1] if number % 2 else columns
        rows = [row[: len(columns)] for row in change]
        model.load(columns, rows, incremental=True, key=key, insert=number in inserted)
        steps.append(Step(columns, insert=number in inserted))
        files.append(encode(rows))
    mapping = Mapping(("a", "b", "c"), tuple(steps), primary_key=key)
    assert asked(mapping, *files) == model.content()
    limited = dataclasses.replace(mapping, limit=2, select=("c", "a"), where=Where("a", "ne", ("x",)))
    wanted = [(row["c"], row["a"]) for row in model.rows if row["a"] != "x"]
    assert asked(limited, *files) == [("c", "a"), *wanted[:2]]


def test_many_rows_with_line_breaks_stay_in_order_and_the_last_of_a_key_counts() -> None:
    rows = [(str(i % 70_000), f'row {i}\n"{i}",\r\n{"x" * (i % 90)}') for i in range(120_000)]
    last = {row[0]: number for number, row in enumerate(rows)}
    content = encode(rows)
    assert len(content) > 2 * tablequery._BUFFER_BYTES
    assert asked(table(limit=10**6), content) == [AB, *rows]
    kept = [row for number, row in enumerate(rows) if last[row[0]] == number]
    assert asked(table(primary_key=("a",)), content) == [AB, *kept]


def test_little_memory_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tablequery, "memory_for_queries", lambda *_: 64 * 2**20)
    rows = [(str(i % 150_000), f"value {i} " + "x" * 200) for i in range(200_000)]
    assert len(asked(table(limit=10**6), encode(rows))) == 200_001
    assert len(asked(table(primary_key=("a",)), encode(rows))) == 150_001


def test_a_very_long_row() -> None:
    rows = [("1", "x" * 5 * 2**20), ("2", "y"), ("1", "z")]
    assert asked(table(limit=5), encode(rows)) == [AB, *rows]
    assert asked(table(primary_key=("a",)), encode(rows)) == [AB, *rows[1:]]


def test_what_duckdb_refuses_is_told_without_a_traceback() -> None:
    with pytest.raises(PlatformError, match="can't be applied") as refusal:
        asked(table(limit=1), b"1,2,3\n")
    assert refusal.value.reason is Reason.STAGE_IN_FAILED
    full = tablequery.explained(OSError("could not write: No space left on device"))
    assert (type(full), full.reason) == (UserError, Reason.DISK_FULL)


def test_an_object_brings_its_header(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(b'\xef\xbb\xbfid,"na\r\nme"\r\n1,"a\r\n"\r\n2,b')
    assert with_header_columns(str(file), "x.csv") == ("id", "na\r\nme")
    assert file.read_bytes() == b'1,"a\r\n"\n2,b'
    file.write_bytes(b"id,b\n1\n")
    with pytest.raises(ComponentRunError, match="line 2: found 1 field, expected 2"):
        with_header_columns(str(file), "x.csv")


@given(st.lists(st.sampled_from([b"a", b"\r\n", b"\n", b'"', b"\r", b","]), max_size=40), st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_carriage_returns_go_wherever_the_chunks_are_cut(parts: list[bytes], chunk: int) -> None:
    text = b"".join(parts)
    pieces = text.split(b'"')
    wanted = b'"'.join(piece if i % 2 else piece.replace(b"\r\n", b"\n") for i, piece in enumerate(pieces))
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tablefiles, "_CHUNK_BYTES", chunk)
        file = Path(name) / "x"
        file.write_bytes(text)
        make_ready(str(file))
        assert file.read_bytes() == wanted


@pytest.mark.parametrize(
    ("files", "own", "limits"),
    [
        ({"memory.max": "268435456\n"}, "0::/\n", [268435456]),
        ({"memory.max": "max\n"}, "0::/\n", []),
        ({"memory/memory.limit_in_bytes": "100\n"}, "9:memory:/\n", [100]),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/pod/memory.limit_in_bytes": "7\n"},
         "4:cpu:/pod\n9:cpuset,memory:/pod\n", [7, 9223372036854771712]),
        ({"pod/x/memory.max": "55\n", "memory.max": "max\n"}, "0::/pod/x\n", [55]),
        ({}, "", []),
    ],
)  # fmt: skip
def test_the_limit_of_the_container_is_found(
    tmp_path: Path, files: dict[str, str], own: str, limits: list[int]
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "own").write_text(own)
    assert sorted(set(tablequery._cgroup_limits(str(tmp_path), str(tmp_path / "own")))) == limits


@pytest.mark.parametrize(("limit", "mebibytes"), [(256, 128), (100, 64), (1024, 896)])
def test_the_query_gets_what_the_container_can_spare(
    monkeypatch: pytest.MonkeyPatch, limit: int, mebibytes: int
) -> None:
    monkeypatch.setattr(tablequery, "_cgroup_limits", lambda: [limit * 2**20, 2**63])
    assert memory_for_queries() == mebibytes * 2**20
    monkeypatch.setattr(tablequery, "_cgroup_limits", lambda: [2**63])
    assert 64 * 2**20 <= memory_for_queries() <= 2**30


def test_changed_since() -> None:
    from componentrun.api.mapping.changedsince import changed_since  # noqa: PLC0415 - the only test of it

    now = datetime(2026, 2, 1, tzinfo=UTC)
    for text, ago in {"36h": 36, "1h30m": 1.5, "-2 days": 48, "2 day": 48, "-1 week": 168, "90minutes": 1.5}.items():
        assert changed_since(text, now) == now - timedelta(hours=ago)
    assert changed_since("2026-01-31", now) == datetime(2026, 1, 31, tzinfo=UTC)
    assert changed_since("2026-01-31T12:00:00+02:00", now) == datetime(2026, 1, 31, 10, tzinfo=UTC)
    for text in ("", "adaptive", "2026-02-30", "-999999 weeks", "h", "1d"):
        with pytest.raises(ValueError, match="neither a time nor a duration"):
            changed_since(text, now)
