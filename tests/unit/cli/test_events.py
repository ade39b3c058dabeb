"""`events`: which ones, of which runs, and how they look."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.process.kubernetes.resources import RUNS, STORAGES
from tests.unit.cli.world import START

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from componentrun.client.storage.store import EventRecord
    from tests.unit.cli.world import World

UID = "3f2a1c9e-0000-4000-8000-00000000abcd"


@pytest.fixture(autouse=True)
def _said(world: World) -> None:
    if not world.cluster.objects["storages"]:
        world.cluster.add(STORAGES, "main", {"bucket": "tables", "default": True})
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.store.say("3 rows read", at=START - timedelta(hours=2))
    world.store.say("price is odd\nsecond line", type_="warn", at=START - timedelta(minutes=30))
    world.store.say("no price", type_="error", at=START - timedelta(minutes=20), source="stage-out")
    world.store.say("done", type_="success", at=START - timedelta(minutes=10), source="operator")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--since", "1h"], [2, 3, 4]),
        (["--since", "1d"], [1, 2, 3, 4]),
        (["--since", "2026-11-24T07:35:00Z"], [3, 4]),
        (["--since", "2026-11-24T08:35:00+01:00", "--until", "15m"], [3]),
        (["--until", "2026-11-24T07:00:00"], [1]),
        (["--type", "error"], [3]),
        (["--type", "error, warn"], [2, 3]),
        (["--grep", "^no|price"], [2, 3]),
        (["--source", "component", "-n", "1"], [2]),
        (["--since-id", "uid-2"], [3, 4]),
        (["--max-id", "uid-3", "-n", "1"], [2]),
        (["--since-id", "uid-1", "--max-id", "uid-3"], [2]),
        (["-n", "0"], []),
    ],
)
@pytest.mark.parametrize("run", [["one"], []])
def test_which_events(world: World, run: list[str], options: list[str], expected: list[int]) -> None:
    result = world.run("events", *run, *options, "-o", "json")
    assert result.exit_code == 0, result.stderr
    assert [json.loads(line)["seq"] for line in result.stdout.splitlines()] == expected


@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_is_said_while_the_last_are_read_does_not_come_on_top(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    read = world.store.feed.read

    def read_while_more_comes() -> Generator[EventRecord, None, None]:
        yield from read()
        world.store.say("more")
        yield from read()

    monkeypatch.setattr(world.store.feed, "read", read_while_more_comes)
    assert len(world.run("events", "one", "-n", str(number), "-o", "json").stdout.splitlines()) == number


@pytest.mark.parametrize("command", ["events", "logs"])
def test_events_are_where_the_run_was_though_another_storage_is_the_default_now(world: World, command: str) -> None:
    world.cluster.add(STORAGES, "old", {"bucket": "old"})
    world.cluster.status("one", storage="old")
    assert world.run(command, "one").exit_code == 0
    assert world.store.name == "old"
    assert world.run(command, "one", "--storage", "main").exit_code == 0
    assert world.store.name == "main"


def test_events_of_many_runs_are_the_last_hundred_with_day_and_run(world: World) -> None:
    result = world.run("events", "--component", "cleaner", "--configuration", "12")
    ((query, limit),) = world.store.questions
    assert (query.component, query.configuration, limit) == ("cleaner", "12", 100)
    assert result.stdout.splitlines()[1:4] == [
        "2026-11-24 07:30:00.000 warn    one component: price is odd",
        " " * 32 + "second line",
        "2026-11-24 07:40:00.000 error   one stage-out: no price",
    ]


def test_events_of_a_run_that_was_deleted_are_read_by_its_uid(world: World) -> None:
    assert world.run("events", UID, "-f").stdout.count("\n") == 5
    assert world.store.asked_run == UID


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--since", "yesterday"], "--since is `yesterday`; expected how long ago, or a time"),
        (["--until", "5"], "--until is `5`"),
        (["--type", "error,warning"], "--type has `warning`; expected info, success, warn, error"),
        (["--type", ""], "--type has ``"),
        (["--grep", "("], "--grep is `(`, which is not a regular expression"),
        (
            ["--grep", "a{9999999999999999999999}"],
            "which is not a regular expression: the repetition number is too large",
        ),
        (["--grep", "(" * 5000], "which is not a regular expression"),
        (["--configuration", "1"], "a configuration is one of a component"),
        (["--follow"], "one run can be followed at a time"),
        (["one", "--component", "cleaner"], "a run has one component"),
        (["two"], "there is no ComponentRun `two`"),
    ],
)
def test_what_can_not_be_asked(world: World, arguments: list[str], told: str) -> None:
    result = world.run("events", *arguments)
    assert (result.exit_code, told in result.stderr) == (1, True), result.stderr


def test_what_is_followed_is_filtered_too(world: World) -> None:
    world.script = [
        lambda: world.store.say("more"),
        lambda: world.store.say("worse", type_="error"),
        lambda: world.ended("one", events={"count": 6, "delivered": True}),
    ]
    result = world.run("events", "one", "-f", "--type", "error", "-n", "1")
    assert result.stdout == "07:40:00.000 error   stage-out: no price\n08:00:00.000 error   component: worse\n"


def test_events_of_a_run_or_of_all_are_exported(world: World, tmp_path: Path) -> None:
    target = tmp_path / "events.parquet"
    result = world.run("events", "one", "--type", "warn,error", "--export", str(target))
    assert (result.exit_code, result.stdout, world.store.asked_run) == (0, "", "uid-one")
    assert target.read_text() == "2\n3\n"
    assert result.stderr == f"`{target}` has 2 events (4 B)\n"
    assert world.run("events", "--component", "cleaner", "-n", "1", "--export", str(target)).exit_code == 0
    assert (target.read_text(), world.store.asked_run) == ("4\n", "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["one", "--export", "a.csv"], "`a.csv` ends with `.csv`; expected `.parquet`"),
        (["one", "--export", "a.parquet", "-f"], "Leave out `--follow`"),
        (["--export", "a.parquet", "-o", "json"], "Leave out `--follow` and `--output`"),
    ],
)
def test_an_export_that_is_none(world: World, arguments: list[str], told: str) -> None:
    result = world.run("events", *arguments)
    assert result.exit_code == 1
    assert told in result.stderr
