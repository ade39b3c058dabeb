"""Turns for the table of events that are killed, run at the same time, or get no answer: each event is there once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import TransientError
from componentrun.loader.catalog.catalog import Catalog
from tests.integration.loader import killed
from tests.integration.loader.eventruns import EventBench
from tests.integration.loader.gateway import CutError
from tests.integration.loader.killer import Killer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.lake_space import LakeSpace
    from tests.integration.loader.gateway import Answer, Gateway, Seen

pytestmark = pytest.mark.store

MOST_WRITES = 60
STEP = 3
"""Every third write, so that the test takes a minute: first a file, then a manifest, then a commit."""


@pytest.fixture
def bench(lake_space: LakeSpace, tmp_path: Path) -> EventBench:
    return EventBench(lake_space, tmp_path)


@pytest.fixture
def far(lake_space: LakeSpace, tmp_path: Path, catalog_gateway: Gateway, store_gateway: Gateway) -> EventBench:
    return EventBench(lake_space, tmp_path, catalog_gateway.url, store_gateway.url)


def expected(*runs: str) -> list[tuple[str, str, str]]:
    return sorted((run, str(seq), text) for run in runs for seq, text in enumerate("abc", 1))


@pytest.mark.long
@pytest.mark.parametrize("behind", [False, True], ids=["before_a_request", "behind_a_request"])
def test_a_turn_that_is_killed_anywhere_is_finished_by_the_next(
    bench: EventBench, far: EventBench, catalog_gateway: Gateway, store_gateway: Gateway, *, behind: bool
) -> None:
    killer = Killer(catalog_gateway, store_gateway)
    runs = [bench.run(1, *"abc"), bench.run(2, *"abc")]
    bench.run(40, "expired")
    for number in range(1 + behind, MOST_WRITES, STEP):
        is_killed = killer.run(killed.turn_once, (far.settings,), number, behind=behind)
        if bench.catalog.find(bench.name) is not None:
            kept = [row for row in bench.events() if row[2] != "expired"]
            assert len(kept) == len(set(kept))
            assert set(kept) <= set(expected(*runs))
        if not is_killed:
            break
        killed.turn_once(bench.settings)
        assert bench.events() == expected(*runs), killer.reached
        bench.catalog.drop(bench.name)
    assert not is_killed
    assert number > 9
    assert bench.events() == expected(*runs)


def test_two_turns_at_once_append_each_event_once(bench: EventBench, far: EventBench, catalog_gateway: Gateway) -> None:
    runs = [bench.run(1, *"abc"), bench.run(2, *"abc")]
    bench.turn(0)
    late = [bench.run(1, *"abc"), bench.run(3, *"abc")]
    arrived, go = threading.Event(), threading.Event()

    def hold(seen: Seen) -> None:
        if seen.is_commit and not arrived.is_set():
            arrived.set()
            assert go.wait(60)

    catalog_gateway.before = hold
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(far.turn, 1)
        assert arrived.wait(60)
        second = EventBench(bench.space, bench.scratch).turn(1)
        go.set()
        done = first.result(120)
    assert second is not None
    assert second.appended.events == 6
    assert done is not None
    assert done.appended.events == 0
    assert bench.events() == expected(*runs, *late)


@pytest.mark.parametrize("is_applied", [False, True])
def test_a_commit_without_an_answer_is_looked_up(
    bench: EventBench, far: EventBench, catalog_gateway: Gateway, *, is_applied: bool
) -> None:
    runs = [bench.run(1, *"abc"), bench.run(2, *"abc")]
    cut: list[Seen] = []

    def lose(seen: Seen) -> bool:
        if seen.is_commit and b"add-snapshot" in seen.body and not cut:
            cut.append(seen)
            return True
        return False

    def before(seen: Seen) -> None:
        if not is_applied and lose(seen):
            raise CutError

    def after(seen: Seen, answer: Answer) -> Answer:
        if is_applied and lose(seen):
            raise CutError
        return answer

    catalog_gateway.before, catalog_gateway.after = before, after
    far.turn()
    assert len(cut) == 1
    assert bench.events() == expected(*runs)


def test_a_table_that_was_dropped_is_filled_again(bench: EventBench) -> None:
    runs = [bench.run(1, *"abc")]
    bench.turn()
    bench.catalog.drop(bench.name)
    bench.turn()
    assert bench.events() == expected(*runs)


def test_two_turns_that_create_the_table_at_once_fill_one(bench: EventBench) -> None:
    runs = [bench.run(1, *"abc")]

    def turn(_: int) -> None:
        try:
            EventBench(bench.space, bench.scratch).turn()
        except TransientError:  # SeaweedFS makes a namespace in two steps; another round comes later
            EventBench(bench.space, bench.scratch).turn()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(turn, range(2)))
    assert bench.events() == expected(*runs)
    assert Catalog(bench.settings).find(bench.name) is not None
