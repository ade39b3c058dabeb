"""Sweeping: nothing that is named, young or being published; everything else, in the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import PlatformError
from componentrun.storage import sweep as sweeping
from componentrun.storage.commit import FencedError, publish, read_journal
from componentrun.storage.files import FILE_KEEP
from componentrun.storage.history import read_history
from componentrun.storage.layout import TableId
from componentrun.storage.leftovers import outlived_documents
from componentrun.storage.restore import restore_table
from componentrun.storage.sweep import HISTORY_KEEP, MIN_KEEP, Swept, sweep
from tests.unit.storage.filing import index, published, stored
from tests.unit.storage.scenarios import KilledError, MortalStore, content, result, uploaded

if TYPE_CHECKING:
    from componentrun.storage.connection import Store, Stored

FOO = "in.c-main.foo"
BAR = "in.c-main.bar"
NOW = datetime.now(UTC) + timedelta(hours=1)
"""Later than the times of all objects, which the store sets."""
LATER = NOW + MIN_KEEP
KEEP = MIN_KEEP


async def swept(store: Store, *, now: datetime, dry_run: bool = False) -> Swept:
    """What a sweep does where no earlier versions of tables are kept."""
    return await sweep(store, KEEP, history=timedelta(0), now=now, dry_run=dry_run)


async def folders(store: Store) -> list[str]:
    return sorted(folder.split("/")[-2] for folder in await store.folders(store.layout.data_root()))


async def test_what_a_pointer_names_stays(store: Store) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["0"])))
    await publish(store, "r1", 1, result(await uploaded(store, "r1", 1, FOO, ["1"], incremental=True)))
    for moment in (NOW, LATER, LATER + KEEP):
        assert (await swept(store, now=moment)).objects == 0
    assert await content(store, FOO) == ["a", "0", "1"]


async def test_what_was_replaced_goes_after_the_keep_time(store: Store) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["0", "1", "2"])))
    await swept(store, now=NOW)
    await publish(store, "r1", 1, result(await uploaded(store, "r1", 1, FOO, ["1"])))
    first = await swept(store, now=LATER)
    assert (first.objects, first.waiting) == (0, 1), "it was named until now, however old it is"
    assert (await swept(store, now=LATER + KEEP - timedelta(seconds=1))).objects == 0
    done = await swept(store, now=LATER + KEEP)
    assert (done.prefixes, done.objects, done.bytes, done.waiting) == (("team/a/data/r0-1/",), 2, 6, 0)
    assert await folders(store) == ["r1-1"]
    assert await content(store, FOO) == ["a", "1"]


async def test_the_bytes_of_a_file_stay_until_it_has_expired_and_then_go(store: Store) -> None:
    await published(store, "r0", await stored(store, "r0", "a.bin", b"aaaa"), now=NOW)
    for moment in (NOW, NOW + FILE_KEEP - timedelta(seconds=1)):
        assert (await swept(store, now=moment)).objects == 0
    assert (await swept(store, now=NOW + FILE_KEEP, dry_run=True)).objects == 0
    assert await index(store) != []
    assert (await swept(store, now=NOW + FILE_KEEP)).waiting == 1
    assert await index(store) == []
    assert (await swept(store, now=NOW + FILE_KEEP + KEEP)).prefixes == ("team/a/data/r0-1/",)


async def test_a_dry_run_tells_and_does_nothing(store: Store) -> None:
    await uploaded(store, "r0", 1, FOO, ["0"])
    await swept(store, now=NOW)
    told = await swept(store, now=LATER, dry_run=True)
    assert (told.objects, await folders(store), await read_journal(store, "r0")) == (1, ["r0-1"], None)
    assert (await swept(store, now=LATER)).objects == 1


async def test_what_was_swept_can_not_be_published_any_more(store: Store) -> None:
    table = await uploaded(store, "r0", 1, FOO, ["0"])
    await swept(store, now=NOW)
    await swept(store, now=LATER)
    with pytest.raises(FencedError, match="was swept"):
        await publish(store, "r0", 1, result(table))


async def test_a_run_that_is_being_published_is_left_alone(store: Store) -> None:
    table = await uploaded(store, "r0", 1, FOO, ["0"])
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 1, after=True), "r0", 1, result(table))
    just_now = datetime.now(UTC)
    assert await swept(store, now=just_now) == Swept(waiting=1)
    await publish(store, "r0", 1, result(table))
    assert await content(store, FOO) == ["a", "0"]


@pytest.mark.parametrize("writes", [1, 2, 3])
async def test_what_was_left_half_published_is_completed(store: Store, writes: int) -> None:
    """The run was deleted while no operator was there, so none will do it."""
    tables = [await uploaded(store, "r0", 1, name, ["0"]) for name in (FOO, BAR)]
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, writes, after=True), "r0", 1, result(*tables))
    done = await swept(store, now=NOW + timedelta(hours=2))
    assert done.completed == ("r0",)
    assert await content(store, FOO) == await content(store, BAR) == ["a", "0"]
    journal = await read_journal(store, "r0")
    assert journal is not None
    assert journal.state == "done"
    assert not (await swept(store, now=NOW + timedelta(hours=3))).completed


@pytest.mark.parametrize("incremental", [True, False])
async def test_what_failed_by_hand_does_not_come_over_what_was_loaded_since(store: Store, *, incremental: bool) -> None:
    """Who typed the command was told that it failed, and typed it again."""
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["0"])))
    failed = await uploaded(store, "load-1", 1, FOO, ["1"], incremental=incremental)
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 1, after=True), "load-1", 1, result(failed))
    again = await uploaded(store, "load-2", 1, FOO, ["2"], incremental=incremental)
    await publish(store, "load-2", 1, result(again))
    before = await content(store, FOO)
    assert not (await swept(store, now=NOW + timedelta(hours=2), dry_run=True)).completed
    assert not (await swept(store, now=NOW + timedelta(hours=2))).completed
    assert await content(store, FOO) == before
    with pytest.raises(FencedError):
        await publish(store, "load-1", 1, result(failed))
    await swept(store, now=NOW + timedelta(hours=2) + KEEP)
    assert "load-1-1" not in await folders(store)
    assert await content(store, FOO) == before


async def test_what_was_loaded_by_hand_is_completed_where_its_table_was_switched_over(store: Store) -> None:
    table = await uploaded(store, "load-1", 1, FOO, ["1"])
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 2, after=True), "load-1", 1, result(table))
    assert (await swept(store, now=NOW + timedelta(hours=2))).completed == ("load-1",)
    assert await content(store, FOO) == ["a", "1"]


async def test_a_dry_run_tells_what_would_be_completed(store: Store) -> None:
    table = await uploaded(store, "r0", 1, FOO, ["0"])
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 1, after=True), "r0", 1, result(table))
    assert (await swept(store, now=NOW + timedelta(hours=2), dry_run=True)).completed == ("r0",)
    journal = await read_journal(store, "r0")
    assert journal is not None
    assert journal.state == "publishing"


async def test_a_commit_between_look_and_claim_wins(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    table = await uploaded(store, "r0", 1, FOO, ["0"])
    await swept(store, now=NOW)
    create = store.create

    async def publish_first(key: str, data: bytes) -> str:
        monkeypatch.setattr(store, "create", create)
        await publish(store, "r0", 1, result(table))
        return await create(key, data)

    monkeypatch.setattr(store, "create", publish_first)
    assert (await swept(store, now=LATER)).objects == 0
    assert await content(store, FOO) == ["a", "0"]


async def test_a_commit_that_is_done_between_look_and_claim_wins(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    table = await uploaded(store, "r0", 1, FOO, ["0"])
    await swept(store, now=NOW)
    find = store.find

    async def publish_first(key: str) -> Stored | None:
        if key == store.layout.sweep():  # the notes are read right after the first look
            monkeypatch.setattr(store, "find", find)
            await publish(store, "r0", 1, result(table))
        return await find(key)

    monkeypatch.setattr(store, "find", publish_first)
    assert (await swept(store, now=LATER)).objects == 0
    assert await content(store, FOO) == ["a", "0"]


async def test_other_attempts_of_a_published_run_go(store: Store) -> None:
    await uploaded(store, "r0", 1, FOO, ["lost"])
    await publish(store, "r0", 2, result(await uploaded(store, "r0", 2, FOO, ["0"])))
    await swept(store, now=NOW)
    assert (await swept(store, now=LATER)).prefixes == ("team/a/data/r0-1/",)
    assert await content(store, FOO) == ["a", "0"]


async def test_an_attempts_plans_go_with_its_data(store: Store) -> None:
    for attempt in (1, 2):
        await uploaded(store, "r0", attempt, FOO, ["0"])
        await store.put(store.layout.stage_in_plan("r0", attempt), b"{}")
    await publish(store, "r0", 2, result(await uploaded(store, "r0", 2, FOO, ["0"])))
    await swept(store, now=NOW)
    done = await swept(store, now=LATER)
    assert (done.objects, done.documents) == (2, 1), "the plan of the attempt that was published has outlived it"
    assert [info.key async for info in store.objects(store.layout.run("r0"))] == [store.layout.journal("r0")]


async def test_objects_that_are_nobodys_are_not_touched(store: Store) -> None:
    await store.put("team/a/data/notes/readme.txt", b"x")
    await store.put("team/a/files/x.csv", b"x")
    await swept(store, now=NOW)
    assert (await swept(store, now=LATER)).objects == 0


async def test_a_keep_time_shorter_than_the_longest_run_is_refused(store: Store) -> None:
    with pytest.raises(PlatformError, match="at least"):
        await sweep(store, MIN_KEEP - timedelta(seconds=1))


async def test_an_earlier_version_keeps_its_data_as_long_as_it_is_kept(store: Store) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["0"])))
    await publish(store, "r1", 1, result(await uploaded(store, "r1", 1, FOO, ["1"])))
    await sweep(store, KEEP, now=NOW)
    assert (await sweep(store, KEEP, now=NOW + HISTORY_KEEP - timedelta(hours=2))).prefixes == ()
    await restore_table(store, TableId.parse(FOO), 1)
    assert await content(store, FOO) == ["a", "0"]
    expired = await sweep(store, KEEP, now=NOW + HISTORY_KEEP, dry_run=True)
    assert (expired.versions, expired.waiting) == (2, 1)
    assert (await sweep(store, KEEP, now=NOW + HISTORY_KEEP)).versions == 2
    assert (await sweep(store, KEEP, now=NOW + HISTORY_KEEP + KEEP)).prefixes == ("team/a/data/r1-1/",)
    assert await content(store, FOO) == ["a", "0"]


async def test_the_version_in_place_is_never_taken_for_an_old_one(store: Store) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["0"])))
    table = await uploaded(store, "r1", 1, FOO, ["1"])
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 2, after=True), "r1", 1, result(table))  # version 1 is kept, and in place
    assert (await sweep(store, KEEP, now=NOW + 2 * HISTORY_KEEP)).versions == 0
    await publish(store, "r1", 1, result(table))
    assert [pointer.version for pointer in await read_history(store, TableId.parse(FOO))] == [2, 1]


async def test_documents_of_a_run_go_when_nothing_of_it_can_be_published_any_more(store: Store) -> None:
    for run in ("r0", "r1"):
        await store.put(store.layout.stage_in_plan(run, 1), b"{}")
        await publish(store, run, 1, result(await uploaded(store, run, 1, FOO, [run])))
    assert (await swept(store, now=NOW)).documents == 0
    told = await swept(store, now=LATER, dry_run=True)
    assert (told.objects, told.documents) == (2, 1), "the journals stay with the data"
    assert (await swept(store, now=LATER)).prefixes == ("team/a/data/r0-1/",)
    left = [info.key async for info in store.objects(store.layout.runs_root())]
    assert left == [store.layout.journal("r0"), store.layout.journal("r1")]
    assert (await swept(store, now=LATER)).documents == 1
    assert [info.key async for info in store.objects(store.layout.runs_root())] == [store.layout.journal("r1")]


async def test_documents_of_a_run_that_is_being_published_stay(store: Store) -> None:
    await store.put(store.layout.stage_in_plan("r0", 1), b"{}")
    table = await uploaded(store, "r0", 1, FOO, ["0"])
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 1, after=True), "r0", 1, result(table))
    assert [key async for keys in outlived_documents(store, LATER, [], []) for key in keys] == []


async def test_why_nobody_knows_of_old_versions_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> int:
        raise PlatformError("these keys may not list versions")

    async def ended(*_: object, **__: object) -> int:
        return 0

    monkeypatch.setattr(sweeping, "delete_hidden", refused)
    monkeypatch.setattr(sweeping, "end_uploads", ended)
    done = await sweep(store, KEEP, hidden=True, now=NOW)
    assert (done.hidden, done.refused) == (None, "these keys may not list versions")
    assert (await swept(store, now=NOW)).refused == ""
