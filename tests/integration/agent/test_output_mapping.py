"""Output mapping and manifests of files, and files kept besides tables, against real stores."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from componentrun.csv.columnfacts import ColumnFacts
from componentrun.storage.store.connection import open_store
from componentrun.wire.agents import STAGE_OUT_KEPT, OutputTable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.agent.place import Place

pytestmark = pytest.mark.store

BAR = "out.c-main.bar"


async def kept(place: Place) -> dict[str, bytes]:
    """Content of the kept files, by path."""
    prefix = place.prefix + STAGE_OUT_KEPT
    store = open_store(place.settings)
    return {item.key.removeprefix(prefix): (await store.get(item.key)).data async for item in store.objects(prefix)}


async def test_another_dialect_is_stored_as_plain_csv(place: Place) -> None:
    rows = [["1", "it's; a 'quote'"], ["2", 'a,b "c"'], ["3", "two\nlines"], ["4", ""]]
    written = io.StringIO()
    csv.writer(written, delimiter=";", quotechar="'", lineterminator="\r\n").writerows([["id", "the;text"], *rows])
    place.write("out/tables/bar.csv", b"\xef\xbb\xbf" + written.getvalue().encode())
    grant = await place.grant_out(OutputTable("bar.csv", BAR, delimiter=";", enclosure="'", primary_key=("id",)))
    ended = place.run("stage-out", grant)
    assert ended.code == 0, ended.text
    (table,) = (await place.result()).tables
    assert (table.columns, table.rows) == (("id", "the;text"), 4)
    content = await place.content(BAR)
    assert list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True)) == rows


async def test_slices_and_large_files_of_another_dialect_go_up_piece_by_piece(place: Place) -> None:
    place.write("out/tables/s/1", "1\ta,b\n" * 1_500_000)
    place.write("out/tables/s/2", "2\tc")
    place.write("out/tables/s.manifest", json.dumps({"columns": ["id", "n"], "delimiter": "\t"}))
    ended = place.run("stage-out", await place.grant_out(bucket="out.c-main"))
    assert ended.code == 0, ended.text
    (table,) = (await place.result()).tables
    assert table.rows == 1_500_001
    assert len(table.slices) > 2
    assert max(part.size for part in table.slices) < 5 * 2**20
    assert await place.content("out.c-main.s") == b'1,"a,b"\n' * 1_500_000 + b"2,c\n"


async def test_a_fault_in_another_dialect_is_named_by_line_and_nothing_of_the_table_counts(place: Place) -> None:
    place.write("out/tables/bar.csv", "id|n\n1|a\n2,b\n")
    ended = place.run("stage-out", await place.grant_out(OutputTable("bar.csv", BAR, delimiter="|")))
    assert ended.code == 1
    assert ended.term["message"].startswith(
        "out/tables/bar.csv, line 3: found 1 field separated by a pipe, expected 2 (`id`, `n`)"
    )
    assert (await place.result()).tables == ()


async def test_a_schema_travels_with_its_table_and_an_optional_one_may_be_missing(place: Place) -> None:
    place.write("out/tables/bar.csv", "id,n\n1,a\n")
    place.write(
        "out/tables/bar.csv.manifest", json.dumps({"description": "all", "metadata": [{"key": "k", "value": 1}]})
    )
    schema = (ColumnFacts("n", "STRING", "255"), ColumnFacts("id", "INTEGER", nullable=False))
    grant = await place.grant_out(
        OutputTable("bar.csv", BAR, schema=schema), OutputTable("gone.csv", "out.c-main.gone", optional=True)
    )
    ended = place.run("stage-out", grant)
    assert ended.code == 0, ended.text
    (table,) = (await place.result()).tables
    assert (table.columns, table.schema) == (("id", "n"), schema)
    assert table.metadata == {"k": "1", "KBC.description": "all"}


async def test_a_schema_of_other_columns_is_an_error(place: Place) -> None:
    place.write("out/tables/bar.csv", "id,n\n1,a\n")
    ended = place.run("stage-out", await place.grant_out(OutputTable("bar.csv", BAR, schema=(ColumnFacts("id"),))))
    assert ended.code == 1
    assert "its header has the columns `id`, `n`; its manifest or the output mapping says `id`" in ended.term["message"]


async def test_result_usage_and_artifacts_are_kept_and_the_message_is_told(place: Place) -> None:
    place.write("out/result.json", '{"message": "3 rows were new", "more": 1}')
    place.write("out/usage.json", '[{"metric": "api calls", "value": 12}]')
    place.write("artifacts/out/current/report/page.html", "<p>")
    place.write("artifacts/out/shared/ž.bin", b"\0" * 10)
    ended = place.run("stage-out", await place.grant_out())
    assert ended.code == 0, ended.text
    assert ended.term["said"] == (await place.result()).said == "3 rows were new"
    assert [line["message"] for line in ended.lines if "file" in line] == ["3 rows were new"]
    found = await kept(place)
    assert found == {
        "out/result.json": b'{"message": "3 rows were new", "more": 1}',
        "out/usage.json": b'[{"metric": "api calls", "value": 12}]',
        "artifacts/out/current/report/page.html": b"<p>",
        "artifacts/out/shared/ž.bin": b"\0" * 10,
    }


@pytest.mark.parametrize(
    ("path", "content", "problem"),
    [
        ("out/result.json", "{", "out/result.json: it is not valid JSON"),
        ("out/result.json", "[]", "out/result.json: expected an object with a `message`"),
        ("out/result.json", '{"message": 1}', "out/result.json: its `message` is no text"),
        ("out/result.json", r'{"message": "\ud800"}', "out/result.json: it holds half of a surrogate pair"),
        ("out/usage.json", "{}", "out/usage.json: expected a list of objects with `metric` and a number as `value`"),
        ("out/usage.json", '[{"metric": "x", "value": "1"}]', "out/usage.json: expected a list"),
        ("out/usage.json", '[{"value": 1}]', "out/usage.json: expected a list"),
    ],
)
async def test_what_nobody_computes_with_may_be_malformed_with_a_warning(
    place: Place, path: str, content: str, problem: str
) -> None:
    place.write(path, content)
    ended = place.run("stage-out", await place.grant_out())
    assert ended.code == 0, ended.text
    assert problem in ended.term["warnings"][0]
    assert await kept(place) == {path: content.encode()}


@pytest.mark.parametrize(
    "path",
    [
        "out/result.json",
        "out/usage.json",
        "artifacts/out/current/x",
        "artifacts/out/shared",
        "artifacts/out/current/a/b",
    ],
)
async def test_a_link_is_refused_here_too_and_its_target_goes_nowhere(place: Place, tmp_path: Path, path: str) -> None:
    secret = tmp_path / "grant.json"
    secret.write_text('{"message": "hush-hush"}')
    target = place.data / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(secret)
    ended = place.run("stage-out", await place.grant_out())
    assert ended.code == 1
    assert f"{path}: found a symbolic link" in ended.term["message"]
    assert "hush-hush" not in ended.text
    assert await kept(place) == {}


async def test_artifacts_have_a_limit(place: Place) -> None:
    for number in range(1001):
        place.write(f"artifacts/out/current/{number}", "x")
    ended = place.run("stage-out", await place.grant_out())
    assert ended.code == 1
    assert "artifacts/out/current: more than 1000 artifacts" in ended.term["message"]
    assert await kept(place) == {}


@pytest.mark.parametrize("rows", [3, 200_000], ids=["small", "large"])
@pytest.mark.parametrize("delimiter", [",", ";"])
async def test_where_types_can_be_relied_on_values_are_looked_at(place: Place, rows: int, delimiter: str) -> None:
    schema = (ColumnFacts("id", "INTEGER", nullable=False), ColumnFacts("day", "DATE"))
    mapped = OutputTable("bar.csv", BAR, schema=schema, delimiter=delimiter)
    line = f"1{delimiter}2026-01-31\n"
    content = f"id{delimiter}day\n" + line * rows
    place.write("out/tables/bar.csv", content)
    ended = place.run("stage-out", await place.grant_out(mapped, check_types=True))
    assert ended.code == 0, ended.text
    assert (await place.result()).rows == rows

    place.write("out/tables/bar.csv", content + f"2{delimiter}31.1.2026\n" + line * rows)
    ended = place.run("stage-out", await place.grant_out(mapped, check_types=True))
    assert ended.code == 1
    told = f"out/tables/bar.csv, line {rows + 2}, column `day`: found `31.1.2026`, expected DATE"
    assert ended.term["message"] == told
    ended = place.run("stage-out", await place.grant_out(mapped))
    assert ended.code == 0, "a hint is not held against values"
