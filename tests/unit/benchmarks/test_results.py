"""Figures, and the file that they are appended to."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest

from benchmarks.report.results import RESULTS, Figure, append, newest, read

if TYPE_CHECKING:
    from pathlib import Path

FIGURE = Figure(
    name="overhead.tiny.run",
    value=4.0,
    unit="s",
    against="overhead.tiny.job",
    ratio=0.8,
    repeats=3,
    spread=(3.5, 4.5),
    machine="2 x processor",
    commit="0123456789",
    date="2026-11-24T10:00:00+00:00",
)


def test_a_line_has_the_agreed_fields_in_their_order() -> None:
    assert list(json.loads(FIGURE.to_json())) == [
        "name", "value", "unit", "against", "ratio", "repeats", "spread", "machine", "commit", "date",
        "scale",
    ]  # fmt: skip
    assert [item.name for item in fields(Figure)] == list(json.loads(FIGURE.to_json()))


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    later = replace(FIGURE, value=3.0)
    append([FIGURE], file)
    append([later], file)
    assert read(file) == [FIGURE, later]


def test_without_a_file_there_are_no_figures(tmp_path: Path) -> None:
    assert read(tmp_path / "results.jsonl") == []


@pytest.mark.parametrize("line", ["nonsense", "{}", '{"name": "overhead.x"}', FIGURE.to_json().replace("unit", "odd")])
def test_a_line_that_is_no_figure_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text(f"{FIGURE.to_json()}\n{line}\n")
    with pytest.raises(ValueError, match=r"results\.jsonl, line 2"):
        read(file)


def test_the_newest_figure_of_a_name_counts() -> None:
    other = replace(FIGURE, name="memory.services.operator", against=None, ratio=None)
    later = replace(FIGURE, value=3.0)
    assert newest([FIGURE, other, later]) == {"memory.services.operator": other, "overhead.tiny.run": later}


def test_the_newest_figures_are_ordered_by_subject_then_as_they_were_measured() -> None:
    names = ["overhead.tiny.run", "overhead.tiny.run.start", "overhead.tiny.job", "memory.services.operator"]
    figures = [replace(FIGURE, name=name) for name in names]
    assert list(newest(figures)) == [names[3], *names[:3]]
    assert list(newest([figures[2], *figures])) == [names[3], *names[:3]]


@pytest.mark.parametrize("name", ["speed.of.light", "overhead", "", "overheads.tiny"])
def test_a_name_outside_the_five_areas_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="begins with one of"):
        replace(FIGURE, name=name)


def test_a_ratio_comes_with_what_it_is_against() -> None:
    with pytest.raises(ValueError, match="come together"):
        replace(FIGURE, ratio=None)
    with pytest.raises(ValueError, match="come together"):
        replace(FIGURE, against=None)


def test_every_recorded_figure_can_be_read() -> None:
    read(RESULTS)
