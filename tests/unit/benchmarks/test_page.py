"""The generated page of benchmarks, and its goals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.registry import BENCHMARKS
from benchmarks.report.goals import GOALS, Goal
from benchmarks.report.page import PAGE, render
from benchmarks.report.results import Figure, newest, read

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
OPERATOR = replace(RUN, name="memory.services.operator", value=121.0, unit="MiB", against=None, ratio=None)


def test_the_page_is_generated_from_the_recorded_figures() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(read()), "run `python -m benchmarks --page`"


def test_a_goal_is_met_missed_or_not_measured() -> None:
    goals = render([RUN, OPERATOR]).split("## Goals")[1].split("\n## ")[0]
    missed, others = goals.split("### Met, or not measured")
    assert f"1 of {len(GOALS)} goals are met, 1 are missed." in goals
    assert "(`memory.services.operator`) | at most 120 MiB | 121 MiB |" in missed
    assert "(`overhead.tiny.run`) | at most 1.5 x | 1.25 x |" in others
    assert "(`overhead.data.run`) | at most 0.9 x | not measured |" in others


def test_a_goal_that_the_recorded_figures_miss_says_why() -> None:
    figures = newest(read())
    assert [goal.name for goal in GOALS if goal.met(figures) is False and not goal.reason] == []


def test_the_page_opens_with_answers_to_what_was_measured() -> None:
    assert "| How long does a run" not in render([RUN])
    job, pod = (replace(RUN, name=f"overhead.tiny.{name}", value=value) for name, value in (("job", 4.0), ("pod", 2.0)))
    assert "| 5 s; a hand-written Job 4 s, a bare pod 2 s | 2026-11-24 |" in render([RUN, job, pod]).split("## ")[0]


def test_an_amount_counts_whatever_else_it_is_compared_with() -> None:
    goal = Goal("memory.services.operator", None, 120, "MiB", "")
    assert goal.met({"memory.services.operator": replace(OPERATOR, value=20, against="memory.services.other", ratio=2)})


def test_a_goal_counts_only_against_what_it_names() -> None:
    goal = Goal("overhead.tiny.run", "overhead.tiny.pod", 1.5, "x", "")
    assert goal.met({"overhead.tiny.run": RUN}) is None


def test_every_figure_is_on_the_page_with_its_spread_and_ratio() -> None:
    page = render([RUN, OPERATOR])
    assert "| `overhead.tiny.run` | 5 s | 4.5 - 6 | `overhead.tiny.job` | 1.25 | 3 |" in page
    assert "| 2026-11-24 | `0123456789` | 2 x processor | `memory.services`, `overhead.tiny` |" in page


def test_the_page_takes_the_newest_figure() -> None:
    assert "1.25" not in render([RUN, replace(RUN, ratio=1.1)])


def test_the_page_says_at_which_scale_a_figure_was_measured() -> None:
    scaled = replace(OPERATOR, scale=0.5)
    page = render([RUN, scaled])
    assert "| at most 120 MiB | 121 MiB (scale 0.5) |" in page
    assert "\nScale of `memory.services`: 0.5 times the numbers above.\n" in page
    assert "Scale of `overhead.tiny`" not in page


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.name)
def test_every_goal_is_about_something_that_is_measured(goal: Goal) -> None:
    assert any(goal.name.startswith(benchmark.name) for benchmark in BENCHMARKS)
