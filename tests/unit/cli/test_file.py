"""`file`: put, get, ls, info, tag, rm. On a real (in-memory) store; the namespace is faked, see world.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from componentrun.storage.files.index import is_file_id

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.world import World


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "résumé 1.bin"
    made.write_bytes(b"\x00\x01\xff" * 100)
    return made


def put(world: World, path: Path, *more: str) -> str:
    result = world.run("file", "put", str(path), *more)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def test_put_prints_the_id_and_says_for_how_long(world: World, path: Path) -> None:
    result = world.run("file", "put", str(path), "--tag", "daily", "-t", "pdf")
    assert result.exit_code == 0, result.stderr
    assert is_file_id(result.stdout.strip())
    assert result.stderr.startswith("`résumé 1.bin` is stored (300 B), until 20")
    kept = world.run("file", "put", str(path), "--permanent", "--name", "other")
    assert kept.stderr == "`other` is stored (300 B), until somebody deletes it\n"


def test_get_gives_the_bytes_by_id_and_by_name(world: World, path: Path, tmp_path: Path) -> None:
    file = put(world, path)
    for asked in (file, "résumé 1.bin"):
        target = tmp_path / "copy"
        result = world.run("file", "get", asked, "-o", str(target))
        assert (result.exit_code, result.stderr) == (0, f"`{target}` has 300 B\n")
        assert target.read_bytes() == path.read_bytes()
    assert world.run("file", "get", file).stdout_bytes == path.read_bytes()


def test_by_name_the_newest_is_meant(world: World, path: Path) -> None:
    put(world, path, "--name", "a")
    path.write_bytes(b"newer")
    put(world, path, "--name", "a")
    assert world.run("file", "get", "a").stdout_bytes == b"newer"


@pytest.mark.parametrize("command", [("get",), ("info",), ("rm", "--yes"), ("tag", "--add", "x")])
def test_a_file_that_is_not_there_is_named(world: World, command: tuple[str, ...]) -> None:
    result = world.run("file", *command, "none.pdf")
    assert result.exit_code == 1
    assert "there is no file `none.pdf`, by id or by name, in Storage `main`" in result.stderr


@pytest.mark.parametrize("name", ["", "\udcff.pdf"])
def test_what_is_no_name_is_nobodys(world: World, name: str) -> None:
    """A variable of a script that is empty, a file name of Windows."""
    for command in (("get",), ("info",), ("rm", "--yes"), ("tag", "--add", "x")):
        result = world.run("file", *command, name)
        assert (result.exit_code, "there is no file `" in result.stderr) == (1, True)
    for option in ("--name", "--tag", "--glob"):
        result = world.run("file", "ls", option, name)
        assert (result.exit_code, result.stderr) == (0, "no such files\n")


def test_ls_shows_the_newest_first_and_what_was_asked_for(world: World, path: Path) -> None:
    put(world, path, "--name", "a.csv", "--tag", "x", "--tag", "y")
    put(world, path, "--name", "b.csv", "--tag", "x", "--permanent")
    put(world, path, "--name", "c.pdf")

    def names(*asked: str) -> list[str]:
        return [one["name"] for one in json.loads(world.run("file", "ls", "-o", "json", *asked).stdout)]

    assert names() == ["c.pdf", "b.csv", "a.csv"]
    assert names("--tag", "x") == ["b.csv", "a.csv"]
    assert names("--tag", "x", "--tag", "y") == ["a.csv"]
    assert names("--glob", "*.csv") == ["b.csv", "a.csv"]
    assert names("--name", "c.pdf") == ["c.pdf"]
    assert names("--tag", "none") == []
    listed = world.run("file", "ls", "--limit", "2")
    assert [line.split()[1] for line in listed.stdout.splitlines()] == ["NAME", "c.pdf", "b.csv"]
    assert listed.stderr == "the newest 2 files; `--limit` shows more\n"
    assert world.run("file", "ls", "--tag", "none").stderr == "no such files\n"


def test_info_tells_everything(world: World, path: Path) -> None:
    file = put(world, path, "--tag", "x", "--permanent")
    told = world.run("file", "info", file)
    assert all(text in told.stdout for text in (file, "résumé 1.bin", "300 bytes", "never", "load-", "x"))
    plain = json.loads(world.run("file", "info", "résumé 1.bin", "-o", "json").stdout)
    assert (plain["id"], plain["tags"], plain["bytes"], plain["expires"]) == (file, ["x"], 300, None)


def test_tags_are_changed_and_a_file_kept_for_ever(world: World, path: Path) -> None:
    file = put(world, path, "--tag", "x", "--tag", "y")
    result = world.run("file", "tag", file, "--add", "z", "--remove", "x", "--permanent")
    assert result.stderr == f"`résumé 1.bin` ({file}) has `y`, `z`, until somebody deletes it\n"
    assert world.run("file", "tag", file).exit_code == 1


def test_rm_asks_and_deletes(world: World, path: Path) -> None:
    file = put(world, path)
    refused = world.run("file", "rm", file)
    assert (refused.exit_code, "stdin is not a terminal" in refused.stderr) == (1, True)
    assert world.run("file", "rm", file, "--yes").stderr == f"`résumé 1.bin` ({file}) deleted\n"
    assert world.run("file", "info", file).exit_code == 1


def test_put_refuses_what_is_no_file_and_a_name_that_can_not_be_one(world: World, tmp_path: Path, path: Path) -> None:
    assert "found a folder" in world.run("file", "put", str(tmp_path)).stderr
    result = world.run("file", "put", str(path), "--name", "a/b")
    assert (result.exit_code, "the file 'a/b' is no file name" in result.stderr) == (1, True)


def test_put_reads_stdin_where_it_gets_a_name(world: World) -> None:
    assert "what comes from stdin has no name" in world.run("file", "put", "-", text="x").stderr
    file = world.run("file", "put", "-", "--name", "from a pipe", text="x").stdout.strip()
    assert world.run("file", "get", file).stdout == "x"


def test_a_file_that_is_not_there_is_looked_for_among_files(world: World) -> None:
    assert "`componentrun file ls` lists the files" in world.run("file", "get", "none").stderr
