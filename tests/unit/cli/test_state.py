"""`state`: get, put, rm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from componentrun.process.kubernetes.resources import STORAGES
from componentrun.storage.state.state import StateOwner

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.world import World

OWNER = StateOwner("ex", "12", "r", "b")
NAMED = ("ex", "12", "--row", "r", "--branch", "b")


def test_what_was_put_is_got_and_forgotten(world: World, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text('{"last": "ž"}')
    done = world.run("state", "put", str(file), *NAMED)
    assert (done.exit_code, world.store.states) == (0, {OWNER: {"last": "ž"}})
    assert "the state of configuration `12` of `ex`, row `r`, branch `b` is now that of" in done.stderr
    assert json.loads(world.run("state", "get", *NAMED).stdout) == {"last": "ž"}
    assert json.loads(world.run("state", "get", "ex", "12").stdout) == {}
    assert "is deleted" in world.run("state", "rm", *NAMED, "--yes").stderr
    assert "had no state" in world.run("state", "rm", *NAMED, "--yes").stderr
    assert world.store.states == {}


def test_how_far_tables_have_been_read_is_shown(world: World) -> None:
    world.store.states[OWNER] = {"a": 1}
    world.store.read[OWNER] = {"in.c-main.foo": {"created": "2026-01-01T00:00:00Z", "uuid": "5bff", "timestamp": 3}}
    assert json.loads(world.run("state", "get", *NAMED, "--inputs").stdout) == world.store.read[OWNER]
    assert json.loads(world.run("state", "get", "ex", "12", "--inputs").stdout) == {}


def test_put_reads_stdin(world: World) -> None:
    assert world.run("state", "put", "-", "ex", "12", text="{}").exit_code == 0
    assert world.store.states == {StateOwner("ex", "12"): {}}


def test_put_takes_a_file_that_windows_has_marked(world: World, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert world.run("state", "put", str(tmp_path / "state.json"), "ex", "12").exit_code == 0
    assert world.store.states == {StateOwner("ex", "12"): {"a": 1}}


@pytest.mark.parametrize("text", ["[]", "{", "1", '{"a": NaN}', '{"a": [-Infinity]}', '{"a": 1e400}', "[" * 100_000])
def test_what_is_no_object_is_refused_before_anybody_is_asked(world: World, text: str) -> None:
    result = world.run("state", "put", "-", "ex", "12", text=text)
    assert (result.exit_code, world.asked, world.store.states) == (1, [], {})


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "a" * 254])
def test_a_name_that_can_not_be_is_refused(world: World, name: str) -> None:
    for arguments in ((name, "12"), ("ex", name), ("ex", "12", "--row", name), ("ex", "12", "--branch", name)):
        result = world.run("state", "get", *arguments)
        assert (result.exit_code, world.asked) == (1, [])
        assert "expected at most 253 letters" in result.stderr


def test_rm_does_not_do_it_where_nobody_can_be_asked(world: World) -> None:
    world.store.states[OWNER] = {"a": 1}
    assert world.run("state", "rm", *NAMED).exit_code == 1
    assert OWNER in world.store.states
    assert world.cluster.objects[STORAGES.plural]
