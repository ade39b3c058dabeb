"""A Storage without a catalog keeps no tables; a catalog whose Secret is missing keeps nobody from files and events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from componentrun.cli.app import app
from componentrun.client.storage.objects import open_storage
from componentrun.errors import UserError
from componentrun.process.kubernetes.resources import STORAGES

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from tests.unit.cli.world import World

FOO = "in.c-main.foo"
COMMANDS = [
    ("put", "-", FOO),
    ("get", FOO),
    ("export", FOO, "foo.parquet"),
    ("export", FOO, "foo.csv"),
    ("ls",),
    ("head", FOO),
    ("rm", FOO),
    ("info", FOO),
    ("history", FOO),
    ("restore", FOO, "--version", "1"),
    ("query", "select 1"),
    ("sql-setup",),
    ("compact", FOO),
]
TOLD = (
    "error: Storage `main` has no `spec.catalog`, so it keeps no tables\n\n"
    "hint: Name an Iceberg REST catalog there (`kubectl edit storage main`; docs/tables.md says what it must be able "
    "to do), or choose another Storage with `--storage NAME`.\n"
)


def typed(world: World, *arguments: str, text: str | None = None) -> Result:
    """Type a command; the real code opens the Storage."""
    return CliRunner().invoke(app, list(arguments), obj=replace(world.makers(), store=open_storage), input=text)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_table_command_tells_what_is_missing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = typed(world, "table", *command, text="id\n1\n")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", TOLD)
    assert list(tmp_path.iterdir()) == []


def test_the_commands_above_are_all_that_there_are() -> None:
    result = CliRunner().invoke(app, ["table", "--help"])
    listed = result.stdout.partition("Commands:\n")[2].partition("\n\n")[0].split("\n")
    names = {line.split()[0] for line in listed if line.startswith("  ") and not line.startswith("   ")}
    assert names == {command[0] for command in COMMANDS}


def test_files_and_events_need_no_key_of_the_catalog(world: World) -> None:
    catalog = {"uri": "https://catalog.test", "warehouse": "lake", "credentials": {"secretName": "missing"}}
    world.cluster.add(STORAGES, "main", {"bucket": "tables", "catalog": catalog})
    store = open_storage(world.cluster, world.cluster.get(STORAGES, "main"), None)
    assert store.files is not None
    with pytest.raises(UserError, match=r"Secret `missing` of the catalog of Storage `main` .* does not exist"):
        _ = store.tables
