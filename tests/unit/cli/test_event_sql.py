"""`events --sql`: what it prints, and which options it takes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.process.kubernetes.resources import STORAGES
from tests.unit.cli.world import START

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.world import World


@pytest.fixture(autouse=True)
def _storage(world: World) -> None:
    if not world.cluster.objects["storages"]:
        world.cluster.add(STORAGES, "main", {"bucket": "tables", "default": True})


def test_rows_are_printed_and_a_note_says_which_time_they_cover(world: World) -> None:
    done = world.run("events", "--sql", "select seq, message from events order by 1")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == ["    seq   message", "integer   varchar", "      1   a", "      2   b"]
    assert f"`events` has the runs that ended before {START:%Y-%m-%d %H:%M} UTC" in done.stderr
    world.tables.events_until = None
    assert "has not yet added all events" in world.run("events", "--sql", "from events").stderr


@pytest.mark.parametrize("source", ["-", "select seq, message from events where type = 'error'"])
def test_a_query_is_written_for_programs(world: World, tmp_path: Path, source: str) -> None:
    text = "select seq, message from events where type = 'error'"
    done = world.run("events", "--sql", source, "-o", "json", text=text)
    assert json.loads(done.stdout) == [{"seq": 2, "message": "b"}]
    assert world.run("events", "--sql", source, "-o", "csv", text=text).stdout == "seq,message\n2,b\n"
    target = tmp_path / "a.parquet"
    assert "1 row" in world.run("events", "--sql", source, "--file", str(target), text=text).stderr
    assert target.stat().st_size > 0


def test_times_limit_the_events_of_a_query(world: World) -> None:
    world.run("events", "--sql", "from events", "--since", "2d", "--until", "1h", "--limit", "1")
    now = world.now
    assert world.tables.asked_times == (now - timedelta(days=2), now - timedelta(hours=1))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["one", "--sql", "from events"], "`--sql` and `RUN` exclude each other"),
        (["--component", "a", "--sql", "from events"], "`--sql` and `--component` exclude each other"),
        (["--sql", "from events", "-o", "yaml"], "not written as YAML"),
        (["-o", "csv"], "`-o csv`: only for queries"),
        (["--limit", "3"], "`--file and --limit`: only for queries"),
        (["--sql", "from events", "--since", "soon"], "--since is `soon`"),
        (["--sql", "select nope from events"], 'column "nope" not found'),
    ],
)
def test_options_that_do_not_fit_are_refused(world: World, arguments: list[str], told: str) -> None:
    done = world.run("events", *arguments)
    assert done.exit_code != 0
    assert told in done.stderr
