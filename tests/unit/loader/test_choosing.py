"""Which files of a table are rewritten together."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import log2

from hypothesis import given
from hypothesis import strategies as st

from componentrun.loader.maintenance.choosing import FileFacts, RewriteLimits, groups_of

LIMITS = RewriteLimits(target=1000, files=4, deleted=0.25)


def files(*sizes: int, deleted: dict[int, int] | None = None) -> list[FileFacts]:
    return [
        FileFacts(f"f{number}", size, 100, number + 1, (deleted or {}).get(number, 0))
        for number, size in enumerate(sizes)
    ]


def chosen(there: list[FileFacts]) -> list[list[str]]:
    return [[file.path for file in group] for group in groups_of(there, LIMITS)]


def test_few_small_files_wait_for_others() -> None:
    assert chosen(files(10, 10, 10)) == []


def test_small_files_become_one() -> None:
    assert chosen(files(10, 10, 10, 10)) == [["f0", "f1", "f2", "f3"]]


def test_a_large_file_parts_its_neighbours() -> None:
    assert chosen(files(10, 10, 10, 10, 900, 10, 10, 10, 10)) == [["f0", "f1", "f2", "f3"], ["f5", "f6", "f7", "f8"]]


def test_groups_do_not_exceed_the_target() -> None:
    assert [len(group) for group in chosen(files(*[100] * 25))] == [10, 10, 5]


def test_a_file_at_the_end_that_is_larger_than_all_others_is_not_written_again() -> None:
    assert chosen(files(600, 10, 10, 10, 10)) == [["f1", "f2", "f3", "f4"]]
    assert chosen(files(10, 10, 10, 10, 600)) == [["f0", "f1", "f2", "f3"]]


def test_a_file_with_many_deleted_rows_is_rewritten_alone() -> None:
    assert chosen(files(900, 900, 900, deleted={1: 25})) == [["f1"]]
    assert chosen(files(900, 900, 900, deleted={1: 24})) == []


def test_files_of_one_snapshot_stay_together() -> None:
    there = [replace(file, sequence=7) for file in files(400, 400, 400)]
    assert chosen(there) == []
    there[1] = replace(there[1], deleted=50)
    assert chosen(there) == [["f0", "f1", "f2"]]


@given(
    st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 100), st.integers(0, 100), st.integers(0, 1)), max_size=60)
)
def test_groups_are_neighbours_that_keep_their_order(drawn: list[tuple[int, int, int, int]]) -> None:
    there, sequence = [], 0
    for number, (size, rows, deleted, step) in enumerate(drawn):
        sequence += step
        there.append(FileFacts(f"f{number}", size, rows, sequence, min(deleted, rows)))
    places = {file.path: number for number, file in enumerate(there)}
    found = groups_of(there, LIMITS)
    numbers = [places[file.path] for group in found for file in group]
    assert numbers == sorted(set(numbers))
    for group in found:
        own = [places[file.path] for file in group]
        assert all(later == earlier + 1 for earlier, later in pairwise(own))
        outside = {file.sequence for number, file in enumerate(there) if number not in own}
        assert not outside & {file.sequence for file in group}


def test_each_row_is_rewritten_a_logarithmic_number_of_times() -> None:
    limits = RewriteLimits(target=10**9, files=8)
    there: list[FileFacts] = []
    written = 0
    for number in range(2000):
        there.append(FileFacts(f"f{number}", 1, 1, number + 1))
        for group in groups_of(there, limits):
            size = sum(file.size for file in group)
            place = there.index(group[0])
            there[place : place + len(group)] = [FileFacts(f"g{number}", size, size, group[-1].sequence)]
            written += size
    assert written <= 2000 * (log2(2000) + 1)
    assert len(there) <= 2 * log2(2000)
