"""What the command line leaves behind on a machine: whole files, and a terminal that obeys nobody else."""

from __future__ import annotations

import json
import os
import threading
from typing import IO, TYPE_CHECKING

import pytest
import yaml

from componentrun.cli.terminal.interrupts import interrupts
from componentrun.cli.terminal.render import Format, document
from componentrun.cli.terminal.saving import save
from componentrun.errors import TransientError
from componentrun.process.kubernetes.resources import RUNS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.world import World


def test_two_that_write_one_file_at_once_do_not_mix(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    begun, done = threading.Event(), threading.Event()

    def slowly(file: IO[bytes]) -> None:
        file.write(b"slow " * 2000)
        file.flush()
        begun.set()
        assert done.wait(5)
        file.write(b"end")

    other = threading.Thread(target=save, args=(target, slowly))
    other.start()
    assert begun.wait(5)
    save(target, lambda file: file.write(b"quick"))
    assert target.read_bytes() == b"quick"
    done.set()
    other.join()
    assert target.read_bytes() == b"slow " * 2000 + b"end"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_in_the_place_of_the_unfinished_file_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (tmp_path / ".a.csv.part").symlink_to(precious)
    save(tmp_path / "a.csv", lambda file: file.write(b"all"))
    assert precious.read_bytes() == b"mine"


def test_an_artifact_that_breaks_off_leaves_what_was_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = {"number": 1, "pod": "one-1", "startTime": "2026-11-24T07:00:00Z"}
    world.cluster.add(RUNS, "one", {"component": "cleaner"}, status={"attempts": [attempt], "storage": "main"})
    world.store.left = {(1, "out/result.json"): b"{}"}
    there = tmp_path / "out/result.json"
    there.parent.mkdir()
    there.write_bytes(b"before")

    def breaks(_run: str, _attempt: int, _path: str, target: IO[bytes]) -> None:
        target.write(b"half")
        raise TransientError("the store is away")

    monkeypatch.setattr(world.store, "get_kept", breaks)
    assert world.run("artifacts", "one", "--to", str(tmp_path)).exit_code == 2
    assert there.read_bytes() == b"before"
    assert list(there.parent.iterdir()) == [there]


@pytest.mark.parametrize("character", ["\x7f", "\x9b", "\u202e", "\u2066", "\x85"])
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_what_programs_get_holds_nothing_that_a_terminal_obeys(form: str, character: str) -> None:
    said = {"message": f"a{character}[31mb ěšč"}
    text = document(said, Format(form))
    assert character not in text
    assert (json.loads if form == "json" else yaml.safe_load)(text) == said
    assert "ěšč" in document({"message": "ěšč"}, Format(form))


def test_an_event_as_json_holds_nothing_that_a_terminal_obeys(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.store.say("a\x9b2Jb")
    printed = world.run("events", "one", "-o", "json").stdout
    assert "\x9b" not in printed
    assert json.loads(printed.splitlines()[-1])["message"] == "a\x9b2Jb"


def test_ctrl_c_is_heard_where_there_is_no_pipe2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pipe2")  # macOS has none
    with interrupts() as came:
        assert not came()


def test_what_cancel_promises_is_what_a_cancelled_run_does(world: World) -> None:
    told = " ".join(world.run("cancel", "--help").stdout.split())
    assert "Nothing is published" in told, "docs/contract.md: a cancelled run publishes nothing at all"
