"""Tables to and from the real store, byte for byte, with the keys that the real cluster holds."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cli.conftest import Place

pytestmark = [pytest.mark.cluster, pytest.mark.store]

TRICKY = 'id,"na,me",text\n1,"quo""ted","line\nbreak\r\nand more"\n2,ěščř 漢字 🙂,\n3,"",  spaces  \n'


def big() -> str:
    """More than one slice."""
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


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("table", "get", "in.c-main.none"), 1, "there is no table `in.c-main.none`"),
        (("table", "get", "nonsense"), 1, "`nonsense` is no table id"),
        (("table", "ls", "--storage", "none"), 1, "no Storage `none` in namespace"),
        (("table", "ls", "--storage", "keyless"), 1, "Secret `none` of Storage `keyless`"),
        (("table", "ls", "--storage", "locked"), 2, "the secret key does not belong to the access key"),
        (("table", "ls", "--storage", "no-bucket"), 2, "names the bucket `componentrun-none`"),
        (("table", "ls", "--endpoint", "ftp://x"), 1, "is not `https://host[:port]`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_goes_wrong_is_told_in_a_sentence(place: Place, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = place.cli(*arguments)
    assert told in done.stderr
    assert done.returncode == code
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_the_endpoint_can_be_another_one_than_the_cluster_knows(place: Place) -> None:
    done = place.cli("table", "ls", "--storage", "away", "--endpoint", place.connection.store_endpoint)
    assert done.returncode == 0, done.stderr


def test_a_bad_file_changes_nothing(place: Place, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("id,name\n1,a\n")
    bad.write_text("id,name\n1,a\n2,b,c\n")
    assert place.cli("table", "put", str(good), "in.c-bad.foo").returncode == 0
    refused = place.cli("table", "put", str(bad), "in.c-bad.foo")
    assert (refused.returncode, "bad.csv" in refused.stderr, "3" in refused.stderr) == (1, True, True)
    assert place.cli("table", "get", "in.c-bad.foo").stdout == good.read_text()
