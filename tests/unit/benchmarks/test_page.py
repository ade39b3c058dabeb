"""The page that is made of the figures, and the goals on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.goals import GOALS, Goal
from benchmarks.page import PAGE, render
from benchmarks.record import Figure, read
from benchmarks.registry import BENCHMARKS

RUN = Figure(
    name="overhead.tiny.run",
    value=5.0,
    unit="s",
    against="overhead.tiny.job",
    ratio=1.25,
    repeats=3,
    spread=(4.5, 6.0),
    machine="2 x processor",
    commit="0123456789",
    date="2026-11-24T10:00:00+00:00",
)
OPERATOR = replace(RUN, name="memory.rest.operator", value=121.0, unit="MiB", against=None, ratio=None)


def test_the_page_is_what_the_figures_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(read()), "run `python -m benchmarks --page`"


def test_a_goal_is_met_missed_or_not_measured() -> None:
    lines = {line.split("`")[1]: line for line in render([RUN, OPERATOR]).split("## ")[1].splitlines() if "`" in line}
    assert lines["overhead.tiny.run"].endswith("| at most 1.5 x | 1.25 x | met |")
    assert lines["memory.rest.operator"].endswith("| at most 120 MiB | 121 MiB | **missed** |")
    assert lines["overhead.data.run"].endswith("| not measured |")


def test_an_amount_counts_whatever_else_it_is_compared_with() -> None:
    goal = Goal("memory.rest.operator", None, 120, "MiB", "")
    assert goal.met({"memory.rest.operator": replace(OPERATOR, value=20, against="memory.rest.other", ratio=2)})


def test_a_goal_counts_only_against_what_it_names() -> None:
    goal = Goal("overhead.tiny.run", "overhead.tiny.pod", 1.5, "x", "")
    assert goal.met({"overhead.tiny.run": RUN}) is None


def test_every_figure_stands_on_the_page_with_its_spread_and_ratio() -> None:
    page = render([RUN, OPERATOR])
    assert "| `overhead.tiny.run` | 5 s | 4.5 - 6 | `overhead.tiny.job` | 1.25 | 3 |" in page
    assert "| 2026-11-24 | `0123456789` | 2 x processor | `memory.rest`, `overhead.tiny` |" in page


def test_the_page_takes_the_newest_figure() -> None:
    assert "1.25" not in render([RUN, replace(RUN, ratio=1.1)])


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.name)
def test_every_goal_is_about_something_that_is_measured(goal: Goal) -> None:
    assert any(goal.name.startswith(benchmark.name) for benchmark in BENCHMARKS)
