"""Times, sizes and numbers in words; columns; colour only on a terminal; start-up; the reference page."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from componentrun.api.componentrun import Phase
from componentrun.api.problems import EXPECTED
from componentrun.cli import eventoptions, follow
from componentrun.cli.commands import runs, table
from componentrun.cli.errors import BadRequestError
from componentrun.cli.reference import FILE, render
from componentrun.cli.request import flags
from componentrun.cli.terminal.render import Cell, Output, styled
from componentrun.cli.terminal.words import age, clean, clock, count, duration, size
from componentrun.core.lifecycle.ending import TERMINAL
from componentrun.errors import Reason
from componentrun.process.kubernetes.resources import CRDS, RUNS
from componentrun.storage.events.events import EventType
from componentrun.storage.events.index import TYPES
from tests.unit.cli.world import START, World

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (3 * 3600 + 1200, "3h20m"),
        (2 * 86400, "2d"), (2 * 86400 + 4 * 3600, "2d4h"), (40 * 86400 + 3600, "40d"),
    ],
)  # fmt: skip
def test_ages(seconds: int, words: str) -> None:
    assert age(START - timedelta(seconds=seconds), START) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (None, "-"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12345, "12.3 kB"), (999_949, "999.9 kB"),
        (999_950, "1.0 MB"), (52_000_000, "52.0 MB"), (1_200_000_000, "1.2 GB"), (5 * 10**15, "5000.0 TB"),
    ],
)  # fmt: skip
def test_sizes(number: int | None, words: str) -> None:
    assert size(number) == words


def test_counts_durations_and_clocks() -> None:
    assert [count(n, "row") for n in (0, 1, 1000, None)] == ["0 rows", "1 row", "1,000 rows", "? rows"]
    assert [count(n) for n in (1234, None)] == ["1,234", "-"]
    assert duration(None, None, START) == "-"
    assert duration(START, None, START + timedelta(seconds=90)) == "1m30s"
    assert clock(START + timedelta(milliseconds=5)) == "08:00:00.005"


def test_texts_of_others_can_not_steer_the_terminal() -> None:
    assert clean("a\x1b[2Jb\tc\r\x00\u2066") == "a\\x1b[2Jb\tc\\r\\x00\\u2066"
    assert clean("ěščř 漢字 🙂") == "ěščř 漢字 🙂"


def test_columns_have_no_boxes_and_no_trailing_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table(("NAME", "ROWS"), [["a-name", Cell("1", right=True)], ["b", Cell("1,000", right=True)]])
    assert capsys.readouterr().out == "NAME      ROWS\na-name       1\nb        1,000\n"


def on_terminal(code: str, **environment: str) -> str:
    """What a program prints to a terminal of 40 columns."""
    parent, child = pty.openpty()
    os.set_blocking(parent, True)
    taken = io.BytesIO()

    def take() -> None:
        try:
            while data := os.read(parent, 4096):
                taken.write(data)
        except OSError:
            return  # the other end is closed: that is how a terminal says so

    reader = threading.Thread(target=take)
    reader.start()
    env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "40", "PYTHONPATH": str(ROOT / "operator")}
    subprocess.run([sys.executable, "-c", code], stdout=child, stderr=child, env=env | environment, check=True)
    os.close(child)
    reader.join(10)
    os.close(parent)
    return taken.getvalue().decode()


LONG = "x" * 100
PROGRAM = (
    "from componentrun.cli.terminal.render import *\n"
    f"Output().line(styled('Failed'), ' {LONG} [bold]not markup[/bold]')"
)


def test_a_terminal_gets_colour_and_nothing_is_wrapped_or_read_as_markup() -> None:
    printed = on_terminal(PROGRAM)
    assert "\x1b[" in printed
    assert f" {LONG} [bold]not markup[/bold]" in printed


def test_no_color_is_honoured() -> None:
    assert "\x1b[31m" not in on_terminal(PROGRAM, NO_COLOR="1")
    assert "31m" in on_terminal(PROGRAM)


def test_a_pipe_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    Output().line(styled("Failed"), f" {LONG}")
    assert capsys.readouterr().out == f"Failed {LONG}\n"


HEAVY = {
    "aiohttp",
    "duckdb",
    "kopf",
    "kubernetes",
    "minio",
    "obstore",
    "pyarrow",
    "pyiceberg",
    "rich",
    "urllib3",
    "yaml",
}


# pydantic is not among them: typer loads it for itself.


@pytest.mark.parametrize("command", [(), ("submit",), ("table",), ("table", "query"), ("doctor",)], ids=" ".join)
def test_help_loads_nothing_heavy(command: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom componentrun.cli.app import app\n"
        f"try:\n    app({[*command, '--help']})\nexcept SystemExit:\n    pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "operator")}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    loaded = set(told.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert loaded & HEAVY == set()


def test_what_is_written_down_twice_so_that_commands_start_fast_is_the_same() -> None:
    assert get_args(Phase) == runs._PHASES
    assert follow._FINAL == TERMINAL
    assert get_args(EventType) == TYPES == eventoptions._TYPES
    assert {f"^{table._BUCKET.pattern}$", f"^{flags._TABLE.pattern}$"} <= EXPECTED.keys(), "the models' own patterns"


def test_the_reference_is_what_the_commands_say() -> None:
    assert (ROOT / FILE).read_text() == render(), "run `python -m componentrun.cli.reference`"


def test_debug_shows_where_an_error_comes_from(world: World) -> None:
    world.cluster.problems["list"] = BadRequestError("no", "hint", Reason.INTERNAL)
    assert world.run("list").exception.__class__ is SystemExit
    assert isinstance(world.run("--debug", "list").exception, BadRequestError)


def test_an_unknown_option_is_told_with_exit_code_2(world: World) -> None:
    result = world.run("list", "--nope")
    assert (result.exit_code, "No such option: --nope" in result.stderr) == (2, True)


def test_version(world: World) -> None:
    assert world.run("version").stdout == "componentrun 0.1.0\n"


def test_a_full_disk_is_told_in_a_sentence(world: World) -> None:
    world.cluster.problems["list"] = OSError(28, "No space left on device")
    result = world.run("list")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: the system refused to read or write: No space left on device\n",
    )


def test_names_can_not_leave_their_place_in_a_path() -> None:
    assert RUNS.path("../x", "a/../b").endswith("/namespaces/..%2Fx/componentruns/a%2F..%2Fb")
    assert CRDS.path("team", "a").endswith("/v1/customresourcedefinitions/a")
