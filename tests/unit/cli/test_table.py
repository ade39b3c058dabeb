"""`table`: put, get, export, ls, head, rm."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from componentrun.cli.errors import EnvironmentFault
from componentrun.client.storage.objects import open_storage
from componentrun.client.storage.tablestore import Preview
from componentrun.errors import PlatformError, Reason, UserError
from componentrun.process.kubernetes.resources import STORAGES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.world import World


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "foo.csv"
    path.write_bytes(b"id,name\n1,a\n2,b\n")
    return path


def test_put_loads_a_file_and_says_what_is_there_now(world: World, file: Path) -> None:
    result = world.run("table", "put", str(file), "in.c-main.foo")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "`in.c-main.foo` has 2 rows (8 B), version 1\n"


def test_put_adds_and_sets_the_primary_key_where_asked(world: World, file: Path) -> None:
    for more in ([], ["--incremental", "--primary-key", "id", "--primary-key", "name"]):
        world.run("table", "put", str(file), "in.c-main.foo", *more)
    assert world.tables.content["in.c-main.foo"].count(b"\n") == 5
    assert world.tables.primary_key == ("id", "name")


def test_put_of_a_file_that_is_not_there_asks_nobody(world: World) -> None:
    result = world.run("table", "put", "/no/such.csv", "in.c-main.foo")
    assert (result.exit_code, world.asked) == (1, [])
    assert "found nothing at `/no/such.csv`; expected a CSV file" in result.stderr


def test_put_reads_stdin_and_pipes(world: World, file: Path, tmp_path: Path) -> None:
    result = world.run("table", "put", "-", "in.c-main.foo", text=file.read_text())
    assert (result.exit_code, world.tables.content["in.c-main.foo"]) == (0, file.read_bytes())
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(pipe.write_bytes, file.read_bytes())
        assert world.run("table", "put", str(pipe), "in.c-main.bar").exit_code == 0
        written.result()
    assert world.tables.content["in.c-main.bar"] == file.read_bytes()


@pytest.mark.parametrize("bucket", ["c-main", "in", "in.c-main.foo", "sys.c-main"])
def test_ls_of_what_is_no_bucket_is_told(world: World, bucket: str) -> None:
    result = world.run("table", "ls", bucket)
    assert (result.exit_code, world.asked) == (1, [])
    assert f"`{bucket}` is no bucket; expected such as `in.c-main`" in result.stderr


def test_a_storage_that_this_release_does_not_understand_is_named(world: World) -> None:
    world.cluster.objects[STORAGES.plural]["main"]["spec"]["bucket"] = "No Bucket"
    result = world.run("table", "ls")
    assert result.exit_code == 2
    assert "Storage `main` has a `spec.bucket` that this release does not understand" in result.stderr


@pytest.mark.parametrize("flags", [(), ("--storage", "main")])
def test_another_storage_that_this_release_does_not_understand_is_in_nobodys_way(
    world: World, flags: tuple[str, ...]
) -> None:
    pasted = {
        "metadata": {"name": "pasted", "namespace": "team"},
        "spec": {"bucket": "b", "endpoint": "http://a\u00a0b"},
    }
    world.cluster.objects[STORAGES.plural]["pasted"] = pasted
    result = world.run("table", "ls", *flags)
    assert result.exit_code == 0, result.stderr
    result = world.run("table", "ls", "--storage", "pasted")
    assert result.exit_code == 2
    assert "Storage `pasted` has a `spec.endpoint` that this release does not understand" in result.stderr
    with pytest.raises(UserError, match=r"Storage `pasted` can't be read by this release: `spec\.endpoint`"):
        open_storage(world.cluster, pasted, None)  # what `doctor` does with each


def test_get_writes_the_bytes_to_stdout(world: World, file: Path) -> None:
    world.run("table", "put", str(file), "in.c-main.foo")
    for more in ([], ["-o", "-"]):
        result = world.run("table", "get", "in.c-main.foo", *more)
        assert (result.stdout_bytes, result.stderr) == (file.read_bytes(), "")


def test_get_writes_a_file_at_once(world: World, file: Path, tmp_path: Path) -> None:
    world.run("table", "put", str(file), "in.c-main.foo")
    result = world.run("table", "get", "in.c-main.foo", "-o", str(tmp_path / "got.csv"))
    assert (tmp_path / "got.csv").read_bytes() == file.read_bytes()
    assert "has 2 rows" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foo.csv", "got.csv"]


def test_get_that_fails_leaves_the_old_file(world: World, tmp_path: Path) -> None:
    target = tmp_path / "got.csv"
    target.write_text("old")
    assert world.run("table", "get", "in.c-main.foo", "-o", str(target)).exit_code == 1
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("got.csv", "old")]


def test_get_into_no_folder_is_told_in_a_sentence(world: World, file: Path) -> None:
    world.run("table", "put", str(file), "in.c-main.foo")
    result = world.run("table", "get", "in.c-main.foo", "-o", "/no/such/folder/x.csv")
    assert (result.exit_code, "can't write `/no/such/folder/x.csv`: No such file" in result.stderr) == (1, True)


def test_ls_has_a_line_for_each_table(world: World, file: Path) -> None:
    world.run("table", "put", str(file), "in.c-main.foo")
    world.run("table", "put", str(file), "in.c-b.foo")
    assert world.run("table", "ls").stdout == (
        "TABLE           ROWS   SIZE   COLUMNS   CHANGED   PRIMARY KEY\n"
        "in.c-b.foo         2    8 B         2        0s   -\n"
        "in.c-main.foo      2    8 B         2        0s   -\n"
    )
    assert world.run("table", "ls", "in.c-b").stdout.count("\n") == 2
    (table,) = json.loads(world.run("table", "ls", "in.c-b", "-o", "json").stdout)
    assert (table["id"], table["rows"], table["columns"]) == ("in.c-b.foo", 2, ["id", "name"])


def test_ls_of_nothing_says_so_on_stderr(world: World) -> None:
    result = world.run("table", "ls", "in.c-main")
    assert (result.stdout, result.stderr) == ("", "no tables in bucket `in.c-main` of Storage `main`\n")


def test_head_shows_columns(world: World, file: Path) -> None:
    world.run("table", "put", str(file), "in.c-main.foo")
    assert world.run("table", "head", "in.c-main.foo", "-n", "1").stdout == "id   name\n1    a\n"
    assert json.loads(world.run("table", "head", "in.c-main.foo", "-o", "json").stdout)[1] == {"id": "2", "name": "b"}


def test_rm_asks_for_yes_where_nobody_is_there(world: World, file: Path) -> None:
    world.run("table", "put", str(file), "in.c-main.foo")
    assert world.run("table", "rm", "in.c-main.foo").exit_code == 1
    assert world.run("table", "rm", "in.c-main.foo", "--yes").exit_code == 0
    assert world.run("table", "rm", "in.c-main.foo", "--yes").exit_code == 1


def test_rm_tells_how_to_bring_the_table_back_and_the_store_who_did_it(world: World, file: Path) -> None:
    world.run("table", "put", str(file), "in.c-main.foo")
    result = world.run("table", "rm", "in.c-main.foo", "--yes")
    assert result.stderr == (
        "`in.c-main.foo` deleted; `componentrun table restore in.c-main.foo --version 1` brings it back\n"
    )
    assert world.tables.by == "jane"


def test_where_the_cluster_does_not_tell_who_asks_the_machine_does(
    world: World, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run("table", "put", str(file), "in.c-main.foo")
    world.cluster.problems["who"] = EnvironmentFault("it does not answer")
    monkeypatch.setenv("LOGNAME", "joe")
    assert world.run("table", "rm", "in.c-main.foo", "--yes").exit_code == 0
    assert world.tables.by == "joe"


@pytest.mark.parametrize(("more", "content"), [((), b"typed"), (("--text",), b"text")])
def test_export_writes_parquet_at_once(
    world: World, file: Path, tmp_path: Path, more: tuple[str, ...], content: bytes
) -> None:
    world.run("table", "put", str(file), "in.c-main.foo")
    target = tmp_path / "foo.parquet"
    result = world.run("table", "export", "in.c-main.foo", str(target), *more)
    assert (target.read_bytes(), result.stderr) == (content, f"`{target}` has 2 rows ({len(content)} B)\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foo.csv", "foo.parquet"]


def test_export_writes_csv_where_the_name_says_so(world: World, file: Path, tmp_path: Path) -> None:
    world.run("table", "put", str(file), "in.c-main.foo")
    for name in ("got.csv", "GOT.CSV"):
        assert world.run("table", "export", "in.c-main.foo", str(tmp_path / name)).exit_code == 0
        assert (tmp_path / name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("name", "told"),
    [("foo.xlsx", "ends with `.xlsx`; expected"), ("/no/such/x.parquet", "can't write `/no/such/x.pa")],
)
def test_export_to_what_it_can_not_write_is_told_in_a_sentence(world: World, file: Path, name: str, told: str) -> None:
    world.run("table", "put", str(file), "in.c-main.foo")
    result = world.run("table", "export", "in.c-main.foo", name)
    assert (result.exit_code, told in result.stderr) == (1, True)


def test_the_storage_is_the_named_one_or_the_default(world: World) -> None:
    world.cluster.add(STORAGES, "other", {"bucket": "tables"})
    assert "Storage `main`" in world.run("table", "ls").stderr
    assert "Storage `other`" in world.run("table", "ls", "--storage", "other").stderr


STORAGE_PROBLEMS = [
    ({}, "found: none"),
    ({"a": False, "b": False}, "found: `a`, `b`"),
    ({"a": True, "b": True}, "several"),
]


@pytest.mark.parametrize(("storages", "told"), STORAGE_PROBLEMS)
def test_no_default_storage_or_several_is_an_error_with_a_hint(
    world: World, storages: dict[str, bool], told: str
) -> None:
    world.cluster.objects["storages"].clear()
    for name, default in storages.items():
        world.cluster.add(STORAGES, name, {"bucket": "tables", "default": default})
    result = world.run("table", "ls")
    assert result.exit_code == 1
    assert told in result.stderr


def test_the_endpoint_comes_from_the_flag_or_the_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPONENTRUN_STORE_ENDPOINT", "http://env:9000")
    world.run("table", "ls")
    world.run("table", "ls", "--endpoint", "http://flag:9000")
    assert world.endpoints == ["http://env:9000", "http://flag:9000"]


def test_a_store_that_does_not_answer_is_a_sentence_and_a_hint(world: World, file: Path) -> None:
    world.tables.problem = PlatformError(
        "can't write `s3://tables`: the store did not answer", Reason.STORAGE_UNAVAILABLE
    )
    result = world.run("table", "put", str(file), "in.c-main.foo")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: can't write `s3://tables`: the store did not answer\n\n"
        "hint: The store and the catalog may have other addresses outside the cluster: set `--endpoint URL` (or "
        "COMPONENTRUN_STORE_ENDPOINT) for the store, COMPONENTRUN_CATALOG_URI for the catalog.\n"
    )


def test_head_keeps_a_header_with_line_breaks_on_one_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.tables, "head", lambda _table, _rows: Preview(("a\nb", "c"), (("1\r\n2", "3"),)))
    result = world.run("table", "head", "in.c-main.foo")
    assert result.stdout == "a\\nb     c\n1\\r\\n2   3\n"
