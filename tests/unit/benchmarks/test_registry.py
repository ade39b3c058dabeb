"""Choosing benchmarks by name."""

from __future__ import annotations

import pytest

from benchmarks.registry import BENCHMARKS, chosen


def test_nothing_chooses_all() -> None:
    assert chosen("") == BENCHMARKS


def test_the_begin_of_a_name_chooses_all_that_begin_so() -> None:
    assert [item.name for item in chosen("overhead")] == ["overhead.tiny", "overhead.data", "overhead.shape"]


def test_a_figures_name_chooses_the_benchmark_that_records_it() -> None:
    assert [item.name for item in chosen("overhead.tiny.run.input")] == ["overhead.tiny"]


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"memory\.services"):
        chosen("speed")


def test_names_are_given_once_and_begin_with_an_area() -> None:
    names = [item.name for item in BENCHMARKS]
    assert len(set(names)) == len(names)
    assert {name.partition(".")[0] for name in names} <= {
        "overhead",
        "transfer",
        "start",
        "tables",
        "throughput",
        "events",
        "collector",
        "memory",
        "catalogue",
        "processors",
        "builds",
    }
