"""Publishing: all or nothing, once, whoever dies when."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import PlatformError, Reason, UserError
from componentrun.storage.commit import FencedError, Journal, publish, read_journal, resume
from componentrun.storage.failures import ExistsError, StaleError
from componentrun.storage.layout import TableId
from componentrun.storage.pointer import Commit
from componentrun.storage.tables import need_table
from tests.unit.storage.scenarios import KilledError, MortalStore, content, result, uploaded, versions

if TYPE_CHECKING:
    from typing import Any

    from componentrun.storage.connection import Store

FOO = "in.c-main.foo"
BAR = "out.c-main.bar"
LOG = "out.c-main.log"


async def test_tables_appear_with_what_was_uploaded(store: Store) -> None:
    tables = [await uploaded(store, "r1", 1, FOO, ["1", "2", "3"]), await uploaded(store, "r1", 1, BAR, [])]
    done = await publish(store, "r1", 1, result(*tables))
    assert [(table.table, table.rows, table.bytes) for table in done.tables] == [(FOO, 3, 6), (BAR, 0, 0)]
    assert await content(store, FOO) == ["a", "1", "2", "3"]
    assert await content(store, BAR) == ["a"]
    journal = await read_journal(store, "r1")
    assert journal is not None
    assert journal.state == "done"


async def test_a_run_that_brought_nothing_is_published_by_one_write(store: Store) -> None:
    mortal = MortalStore(store, 2, after=False)
    first = await publish(mortal, "r1", 1, result())
    journal = await read_journal(store, "r1")
    assert journal is not None
    assert (journal.state, journal.finished) == ("done", journal.commit.time)
    assert await publish(store, "r1", 1, result()) == first
    with pytest.raises(FencedError):
        await publish(store, "r1", 2, result())


async def test_publishing_again_changes_nothing(store: Store) -> None:
    tables = await uploaded(store, "r1", 1, FOO, ["1"], incremental=True)
    first = await publish(store, "r1", 1, result(tables))
    assert await publish(store, "r1", 1, result(tables)) == first
    assert await resume(store, "r1") == first
    assert await versions(store) == {FOO: 1}


async def test_a_run_that_failed_changes_its_write_always_tables_only(store: Store) -> None:
    tables = [
        await uploaded(store, "r1", 1, FOO, ["1"]),
        await uploaded(store, "r1", 1, LOG, ["x"], write_always=True),
    ]
    await publish(store, "r1", 1, result(*tables), write_always_only=True)
    assert await versions(store) == {LOG: 1}


async def test_a_second_attempt_is_refused_once_the_first_is_published(store: Store) -> None:
    await publish(store, "r1", 1, result(await uploaded(store, "r1", 1, FOO, ["1"])))
    with pytest.raises(FencedError, match="attempt 1 of it already is") as refusal:
        await publish(store, "r1", 2, result(await uploaded(store, "r1", 2, FOO, ["2"])))
    assert refusal.value.reason is Reason.PUBLISH_FAILED
    assert await content(store, FOO) == ["a", "1"]


async def test_of_two_attempts_at_once_exactly_one_is_published(store: Store) -> None:
    tables = {number: result(await uploaded(store, "r1", number, FOO, [str(number)])) for number in range(1, 6)}
    ends = await asyncio.gather(
        *(publish(store, "r1", n, found) for n, found in tables.items()), return_exceptions=True
    )
    won = [number for number, end in zip(tables, ends, strict=True) if not isinstance(end, BaseException)]
    assert len(won) == 1
    assert sum(isinstance(end, FencedError) for end in ends) == len(tables) - 1
    assert await content(store, FOO) == ["a", str(won[0])]
    assert await versions(store) == {FOO: 1}


async def test_two_operators_at_once_publish_once(store: Store) -> None:
    table = await uploaded(store, "r1", 1, FOO, ["1"], incremental=True)
    ends = await asyncio.gather(*(publish(store, "r1", 1, result(table)) for _ in range(8)))
    assert len(set(ends)) == 1
    assert await content(store, FOO) == ["a", "1"]
    assert await versions(store) == {FOO: 1}


WRITES = 5  # the journal, three pointers, the mark


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("killed_at", range(1, WRITES + 1))
@pytest.mark.parametrize("other_run_comes_between", [False, True])
async def test_killed_at_any_write_it_is_completed_once(
    store: Store, killed_at: int, after: bool, other_run_comes_between: bool
) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["0"])))
    tables = result(
        await uploaded(store, "r1", 1, FOO, ["1", "2", "3"], incremental=True),
        await uploaded(store, "r1", 1, BAR, ["1"], incremental=True),
        await uploaded(store, "r1", 1, LOG, ["x"]),
    )
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, killed_at, after=after), "r1", 1, tables)
    decided = await read_journal(store, "r1")
    if decided is None:
        assert await versions(store) == {FOO: 1}, "nothing may change before the decision"
    if other_run_comes_between:
        await publish(store, "r2", 1, result(await uploaded(store, "r2", 1, FOO, ["9"], incremental=True)))
    assert (await resume(store, "r1") is None) == (decided is None)
    await publish(store, "r1", 1, tables)
    rows = await content(store, FOO)
    assert sorted(rows) == sorted(["a", "0", "1", "2", "3", *(["9"] if other_run_comes_between else [])])
    assert rows[:2] == ["a", "0"]
    assert (await content(store, BAR), await content(store, LOG)) == (["a", "1"], ["a", "x"])
    assert await versions(store) == {FOO: 3 if other_run_comes_between else 2, BAR: 1, LOG: 1}


async def test_a_run_makes_exactly_the_writes_that_the_test_above_kills(store: Store) -> None:
    counting = MortalStore(store, 1000, after=False)
    tables = [await uploaded(store, "r1", 1, name, ["1"]) for name in (FOO, BAR, LOG)]
    await publish(counting, "r1", 1, result(*tables))
    assert 1000 - counting.left == WRITES


async def test_incremental_loads_at_once_all_arrive(store: Store) -> None:
    runs = [f"r{number}" for number in range(20)]
    tables = [await uploaded(store, run, 1, FOO, [run], incremental=True) for run in runs]
    await asyncio.gather(*(publish(store, run, 1, result(table)) for run, table in zip(runs, tables, strict=True)))
    assert sorted(await content(store, FOO)) == sorted(["a", *runs])
    assert await versions(store) == {FOO: len(runs)}


async def test_a_replayed_commit_is_recognised_after_others_came(store: Store) -> None:
    table = await uploaded(store, "r1", 1, FOO, ["1"])
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 2, after=True), "r1", 1, result(table))
    for number in range(5):
        run = f"other{number}"
        await publish(store, run, 1, result(await uploaded(store, run, 1, FOO, [run])))
    await resume(store, "r1")
    assert await content(store, FOO) == ["a", "other4"]


async def test_two_files_may_add_to_one_table_as_one_change(store: Store) -> None:
    first = await uploaded(store, "r1", 1, FOO, ["1"])
    second = dataclasses.replace(await uploaded(store, "r1", 1, FOO, ["2", "3", "4"], incremental=True), source="b.csv")
    # The second upload has overwritten the first one's key; give each its own objects.
    third = dataclasses.replace(second, slices=second.slices[1:])
    await publish(store, "r1", 1, result(dataclasses.replace(first, slices=second.slices[:1]), third))
    assert await content(store, FOO) == ["a", "2", "3", "4"]
    assert await versions(store) == {FOO: 1}


async def test_a_file_that_would_replace_another_of_its_run_is_refused(store: Store) -> None:
    tables = [await uploaded(store, "r1", 1, FOO, ["1"]), await uploaded(store, "r1", 1, FOO, ["1"])]
    with pytest.raises(UserError, match=r"both become `in\.c-main\.foo`"):
        await publish(store, "r1", 1, result(*tables))


async def test_a_load_that_does_not_fit_leaves_all_tables_as_they_were(store: Store) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["1"], columns=("a", "b"))))
    tables = [await uploaded(store, "r1", 1, BAR, ["1"]), await uploaded(store, "r1", 1, FOO, ["1"], columns=("a",))]
    with pytest.raises(UserError, match="lacks the column `b`") as refusal:
        await publish(store, "r1", 1, result(*tables))
    assert refusal.value.reason is Reason.OUTPUT_INVALID
    assert await versions(store) == {FOO: 1}
    assert await read_journal(store, "r1") is None


async def test_all_loads_that_do_not_fit_are_named(store: Store) -> None:
    before = [await uploaded(store, "r0", 1, name, ["1"], columns=("a", "b")) for name in (FOO, BAR)]
    await publish(store, "r0", 1, result(*before))
    tables = [await uploaded(store, "r1", 1, name, ["1"], columns=("a",)) for name in (FOO, BAR)]
    with pytest.raises(UserError) as refusal:
        await publish(store, "r1", 1, result(*tables))
    assert refusal.value.message.count("lacks the column `b` of the table") == 2
    assert refusal.value.message.startswith(f"{FOO}: ")
    assert f" Also: {BAR}: " in refusal.value.message
    assert await versions(store) == {FOO: 1, BAR: 1}


async def test_no_more_than_ten_loads_that_do_not_fit_are_named(store: Store) -> None:
    names = [f"out.c-main.t{number:02d}" for number in range(13)]
    await publish(
        store, "r0", 1, result(*[await uploaded(store, "r0", 1, n, ["1"], columns=("a", "b")) for n in names])
    )
    tables = [await uploaded(store, "r1", 1, name, ["1"], columns=("a",)) for name in names]
    with pytest.raises(UserError) as refusal:
        await publish(store, "r1", 1, result(*tables))
    assert refusal.value.message.count("lacks the column `b` of the table") == 10
    assert refusal.value.message.endswith(" And 3 more.")


async def test_all_files_that_would_replace_another_are_named(store: Store) -> None:
    names = (FOO, FOO, BAR, BAR)
    tables = [await uploaded(store, "r1", 1, name, ["1"]) for name in names]
    with pytest.raises(UserError) as refusal:
        await publish(store, "r1", 1, result(*tables))
    assert refusal.value.message.count(" both become ") == 2


@pytest.mark.parametrize(
    "key",
    [
        "team/a/data/r2-1/x.csv",
        "team/a/data/r1-2/x.csv",
        "team/a/data/r1-11/x.csv",
        "team/a/data/r1-1/../r2-1/x.csv",
        "team/a/files/x.csv",
        "data/r1-1/x.csv",
        "",
    ],
)
async def test_a_slice_outside_the_attempts_own_prefix_is_refused(store: Store, key: str) -> None:
    table = await uploaded(store, "r1", 1, FOO, ["1"])
    foreign = dataclasses.replace(table, slices=(dataclasses.replace(table.slices[0], key=key),))
    with pytest.raises(PlatformError, match="the only place") as refusal:
        await publish(store, "r1", 1, result(foreign))
    assert refusal.value.reason is Reason.PUBLISH_FAILED
    assert await read_journal(store, "r1") is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"size": 3}, "found 2 bytes"),
        ({"etag": '"other"'}, "expected 2 bytes, ETag"),
        ({"key": "team/a/data/r1-1/gone.csv"}, "found no object"),
    ],
)
async def test_a_slice_that_is_not_what_was_uploaded_is_refused(
    store: Store, change: dict[str, Any], told: str
) -> None:
    table = await uploaded(store, "r1", 1, FOO, ["1"])
    wrong = dataclasses.replace(table, slices=(dataclasses.replace(table.slices[0], **change),))
    with pytest.raises(PlatformError, match="is not what stage-out uploaded") as refusal:
        await publish(store, "r1", 1, result(wrong))
    assert told in refusal.value.message
    assert await read_journal(store, "r1") is None


async def test_an_etag_without_quotes_is_the_same_etag(store: Store) -> None:
    table = await uploaded(store, "r1", 1, FOO, ["1"])
    bare = tuple(dataclasses.replace(part, etag=part.etag.strip('"')) for part in table.slices)
    await publish(store, "r1", 1, result(dataclasses.replace(table, slices=bare)))
    assert await content(store, FOO) == ["a", "1"]


async def test_a_destination_that_is_no_table_is_the_outputs_fault(store: Store) -> None:
    table = dataclasses.replace(await uploaded(store, "r1", 1, FOO, ["1"]), destination="foo")
    with pytest.raises(UserError, match="`foo` is no table id") as refusal:
        await publish(store, "r1", 1, result(table))
    assert refusal.value.reason is Reason.OUTPUT_INVALID


async def test_data_that_was_swept_is_never_published(store: Store) -> None:
    table = await uploaded(store, "r1", 1, FOO, ["1"])
    claim = Journal(state="abandoned", commit=Commit(run="r1", attempt=1, time=datetime(2026, 1, 1, tzinfo=UTC)))
    await store.create(store.layout.journal("r1"), claim.to_bytes())
    with pytest.raises(FencedError, match="was swept"):
        await publish(store, "r1", 1, result(table))
    assert await resume(store, "r1") is None
    assert await versions(store) == {}


class LossyStore(MortalStore):
    """Every conditional write takes effect, but its answer is lost, and the client's second try is refused."""

    async def _put(self, operation: str, key: str, data: bytes, *, mode: Any) -> str:
        etag = await super()._put(operation, key, data, mode=mode)
        if mode == "create":
            raise ExistsError(f"lost: {key}")
        if mode != "overwrite":
            raise StaleError(f"lost: {key}")
        return etag


async def test_writes_whose_answers_were_lost_are_recognised_as_own(store: Store) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["0"])))
    tables = result(
        await uploaded(store, "r1", 1, FOO, ["1"], incremental=True), await uploaded(store, "r1", 1, BAR, ["2"])
    )
    await publish(LossyStore(store, 1000, after=False), "r1", 1, tables)
    assert (await content(store, FOO), await content(store, BAR)) == (["a", "0", "1"], ["a", "2"])
    assert await versions(store) == {FOO: 2, BAR: 1}


async def test_a_table_that_is_not_there_is_named_with_those_that_are_like_it(store: Store) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["0"])))
    with pytest.raises(UserError, match=r"Did you mean `in\.c-main\.foo`") as refusal:
        await need_table(store, TableId.parse("in.c-main.fooo"))
    assert refusal.value.reason is Reason.INPUT_NOT_FOUND
    assert "Storage `main`" in refusal.value.message
