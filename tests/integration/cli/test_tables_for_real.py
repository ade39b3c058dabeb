"""Tables to and from the real store and catalog, byte for byte, with keys from the real cluster."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from typing import TYPE_CHECKING

import duckdb
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cli.conftest import Place

pytestmark = [pytest.mark.cluster, pytest.mark.store]

TRICKY = 'id,"na,me",text\n1,"quo""ted","line\nbreak\r\nand more"\n2,ěščř 漢字 🙂,\n3,,  spaces  \n'


def big() -> str:
    """CSV text larger than one slice."""
    return "id,text\n" + "".join(f'{i},"row {i} of ""many"""\n' for i in range(1_500_000))


@pytest.mark.parametrize("content", [TRICKY, "only,a,header\n", big()], ids=["tricky", "empty", "big"])
def test_what_was_put_is_got_byte_for_byte(place: Place, tmp_path: Path, content: str) -> None:
    table = f"in.c-main.bytes-{len(content)}"
    source, target = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_bytes(content.encode())
    put = place.cli("table", "put", str(source), table)
    assert put.returncode == 0, put.stderr
    got = place.cli("table", "get", table, "-o", str(target))
    assert got.returncode == 0, got.stderr
    assert target.read_bytes() == source.read_bytes()
    piped = subprocess.run(
        place.command("table", "get", table), capture_output=True, check=True, env=place.environment()
    )
    assert (piped.stdout == source.read_bytes(), piped.stderr) == (True, b"")


def test_ls_and_head_and_an_incremental_load(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("id,name\n1,a\n")
    for more in ([], ["--incremental"]):
        assert place.cli("table", "put", str(source), "in.c-ls.foo", *more).returncode == 0
    listed = place.cli("table", "ls", "in.c-ls").stdout
    assert [line.split()[:2] for line in listed.splitlines()] == [["TABLE", "ROWS"], ["in.c-ls.foo", "2"]]
    (table,) = json.loads(place.cli("table", "ls", "in.c-ls", "-o", "json").stdout)
    assert (table["rows"], table["version"], table["columns"]) == (2, 2, ["id", "name"])
    assert place.cli("table", "head", "in.c-ls.foo", "-n", "1").stdout == "id   name\n1    a\n"
    assert place.cli("table", "rm", "in.c-ls.foo", "--yes").returncode == 0
    assert place.cli("table", "ls", "in.c-ls").stdout == ""


@pytest.fixture(scope="module")
def kept(place: Place) -> None:
    """Create the table `in.c-main.kept`."""
    assert place.cli("table", "put", "-", "in.c-main.kept", text="id\n1\n").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("table", "get", "in.c-main.none"), 1, "there is no table `in.c-main.none`"),
        (("table", "get", "nonsense"), 1, "`nonsense` is not a table id"),
        (("table", "info", "in.c-main.none"), 1, "there is no table `in.c-main.none`"),
        (("table", "history", "in.c-main.none"), 1, "there is no table `in.c-main.none`"),
        (("table", "restore", "in.c-main.none", "--version", "1", "--yes"), 1, "there is no table `in.c-main.none`"),
        (("table", "export", "in.c-main.none", "none.parquet"), 1, "there is no table `in.c-main.none`"),
        (("table", "ls", "--storage", "none"), 1, "no Storage `none` in namespace"),
        (("table", "ls", "--storage", "keyless"), 1, "Secret `none` of Storage `keyless`"),
        (("table", "ls", "--storage", "no-catalog"), 1, "Storage `no-catalog` has no `spec.catalog`"),
        (("table", "ls", "--storage", "barred"), 2, "refused"),
        (("table", "ls", "--storage", "catalog-away"), 2, "127.0.0.1:1"),
        (("table", "head", "in.c-main.kept", "--storage", "locked"), 2, "the secret key does not belong"),
        (("file", "ls", "--storage", "locked"), 2, "the secret key does not belong to the access key"),
        (("file", "ls", "--storage", "no-bucket"), 2, "names the bucket `componentrun-none`"),
        (("table", "ls", "--endpoint", "ftp://x"), 1, "is not `https://host[:port]`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.usefixtures("kept")
def test_what_goes_wrong_is_told_in_a_sentence(place: Place, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = place.cli(*arguments)
    assert told in done.stderr
    assert done.returncode == code
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_table_that_was_loaded_badly_and_deleted_comes_back_as_it_was(place: Place, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(TRICKY)
    bad.write_text('id,"na,me",text\n')
    for file in (good, bad):
        assert place.cli("table", "put", str(file), "in.c-back.foo").returncode == 0
    removed = place.cli("table", "rm", "in.c-back.foo", "--yes")
    assert "`componentrun table restore in.c-back.foo --version 2` brings it back" in removed.stderr
    gone = place.cli("table", "info", "in.c-back.foo")
    assert (gone.returncode, "was deleted at" in gone.stderr) == (1, True)
    assert "in.c-back.foo" not in place.cli("table", "ls").stdout
    restored = place.cli("table", "restore", "in.c-back.foo", "--version", "1", "--yes")
    assert restored.returncode == 0, restored.stderr
    assert "is what it was at version 1: 3 rows" in restored.stderr
    target = tmp_path / "got.csv"
    assert place.cli("table", "get", "in.c-back.foo", "-o", str(target)).returncode == 0
    assert target.read_bytes() == good.read_bytes()


def test_the_history_tells_who_did_what(place: Place, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("id,name\n1,a\n")
    for more in ([], ["--incremental"]):
        assert place.cli("table", "put", str(source), "in.c-history.foo", *more).returncode == 0
    assert place.cli("table", "restore", "in.c-history.foo", "--version", "1", "--yes").returncode == 0
    found = json.loads(place.cli("table", "history", "in.c-history.foo", "-o", "json").stdout)
    assert [(version["number"], version["what"], version["rows"]) for version in found] == [
        (3, "restore of 1", 1),
        (2, "increment", 2),
        (1, "load", 1),
    ]
    me = json.loads(place.kubectl("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]
    assert [version["who"] for version in found] == [me, None, None]
    lines = place.cli("table", "history", "in.c-history.foo", "--limit", "2").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["VERSION", "3", "2"]
    assert "Version:      3\n" in place.cli("table", "info", "in.c-history.foo").stdout


def test_an_export_has_every_value(place: Place, tmp_path: Path) -> None:
    source, target = tmp_path / "a.csv", tmp_path / "a.parquet"
    source.write_bytes(TRICKY.encode())
    assert place.cli("table", "put", str(source), "in.c-export.foo").returncode == 0
    done = place.cli("table", "export", "in.c-export.foo", str(target))
    assert done.returncode == 0, done.stderr
    header, *rows = csv.reader(io.StringIO(TRICKY, newline=""))
    with duckdb.connect() as connection:
        found = connection.execute("SELECT * FROM read_parquet(?)", [str(target)])
        assert [item[0] for item in found.description] == header
        assert found.fetchall() == [tuple(row) for row in rows]


@pytest.mark.usefixtures("kept")
def test_the_endpoint_can_be_another_one_than_the_cluster_knows(place: Place) -> None:
    done = place.cli("table", "head", "in.c-main.kept", "--storage", "away", "--endpoint", place.endpoint)
    assert done.returncode == 0, done.stderr


def test_a_bad_file_changes_nothing(place: Place, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("id,name\n1,a\n")
    bad.write_text("id,name\n1,a\n2,b,c\n")
    assert place.cli("table", "put", str(good), "in.c-bad.foo").returncode == 0
    refused = place.cli("table", "put", str(bad), "in.c-bad.foo")
    assert (refused.returncode, "bad.csv" in refused.stderr, "3" in refused.stderr) == (1, True, True)
    assert place.cli("table", "get", "in.c-bad.foo").stdout == good.read_text()
