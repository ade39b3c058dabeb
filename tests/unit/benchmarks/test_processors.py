"""The benchmark of processors: its runs, and what it computes from their times."""

from __future__ import annotations

import pytest

from benchmarks.overhead.processors import AREA, COUNTS, added, chain
from benchmarks.registry import chosen
from componentrun.api.processors import Processors


@pytest.mark.parametrize("count", COUNTS)
def test_a_run_has_the_number_of_processors_that_its_figure_names(count: int) -> None:
    processors = Processors.model_validate(chain(count) or {})
    assert len(processors.before) + len(processors.after) == count


def test_a_run_without_processors_sets_no_field() -> None:
    assert chain(0) is None


def test_several_processors_run_on_both_sides_of_the_component() -> None:
    processors = Processors.model_validate(chain(3))
    assert (len(processors.before), len(processors.after)) == (2, 1)


def test_what_a_processor_adds_is_the_difference_for_each_of_them() -> None:
    assert added({0: 5.0, 1: 6.5, 3: 9.5}) == {f"{AREA}.added": 1.5, f"{AREA}.added.first": 1.5}
    assert added({0: 5.0, 1: 5.0, 3: 8.0}) == {f"{AREA}.added": 1.0, f"{AREA}.added.first": 0.0}


def test_it_is_found_by_its_area() -> None:
    assert [item.name for item in chosen("processors")] == [AREA]
