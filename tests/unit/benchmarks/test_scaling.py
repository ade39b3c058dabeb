"""The model of several shards, and its table on the page."""

from __future__ import annotations

import pytest

from benchmarks.report.results import read
from benchmarks.report.scaling import PAGE, Costs, runs_a_minute, with_model

COSTS = Costs(operator=16.0, all=96.0, foreign=1.0)


def test_one_shard_is_limited_by_its_core_or_by_all_cores() -> None:
    assert runs_a_minute(COSTS, shards=1, cores=16) == (3750.0, 10_000.0)
    process, machine = runs_a_minute(COSTS, shards=1, cores=2)
    assert machine < process


def test_each_shard_also_pays_for_the_runs_of_the_others() -> None:
    process, machine = runs_a_minute(COSTS, shards=4, cores=16)
    assert process == pytest.approx(60_000 / (16 / 4 + 3 / 4))
    assert machine == pytest.approx(16 * 60_000 / (96 + 3))


def test_a_shard_that_has_all_runs_gains_nothing() -> None:
    alone, _ = runs_a_minute(COSTS, shards=1, cores=16)
    assert runs_a_minute(COSTS, shards=8, cores=16, largest_share=1.0)[0] == alone


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_model(page, read()) == page, "run `make generate`"
