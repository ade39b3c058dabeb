"""Sweeping: nothing that is named, young or being published; everything else, in the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import PlatformError
from componentrun.storage.commit import FencedError, publish, read_journal
from componentrun.storage.files import FILE_KEEP
from componentrun.storage.sweep import MIN_KEEP, sweep
from tests.unit.storage.filing import index, published, stored
from tests.unit.storage.scenarios import KilledError, MortalStore, content, result, uploaded

if TYPE_CHECKING:
    from componentrun.storage.connection import Store, Stored

FOO = "in.c-main.foo"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + MIN_KEEP
KEEP = MIN_KEEP


async def folders(store: Store) -> list[str]:
    return sorted(folder.split("/")[-2] for folder in await store.folders(store.layout.data_root()))


async def test_what_a_pointer_names_stays(store: Store) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["0"])))
    await publish(store, "r1", 1, result(await uploaded(store, "r1", 1, FOO, ["1"], incremental=True)))
    for moment in (NOW, LATER, LATER + KEEP):
        assert (await sweep(store, KEEP, now=moment)).objects == 0
    assert await content(store, FOO) == ["a", "0", "1"]


async def test_what_was_replaced_goes_after_the_keep_time(store: Store) -> None:
    await publish(store, "r0", 1, result(await uploaded(store, "r0", 1, FOO, ["0", "1", "2"])))
    await sweep(store, KEEP, now=NOW)
    await publish(store, "r1", 1, result(await uploaded(store, "r1", 1, FOO, ["1"])))
    first = await sweep(store, KEEP, now=LATER)
    assert (first.objects, first.waiting) == (0, 1), "it was named until now, however old it is"
    assert (await sweep(store, KEEP, now=LATER + KEEP - timedelta(seconds=1))).objects == 0
    done = await sweep(store, KEEP, now=LATER + KEEP)
    assert (done.prefixes, done.objects, done.bytes, done.waiting) == (("team/a/data/r0-1/",), 2, 6, 0)
    assert await folders(store) == ["r1-1"]
    assert await content(store, FOO) == ["a", "1"]


async def test_the_bytes_of_a_file_stay_until_it_has_expired_and_then_go(store: Store) -> None:
    await published(store, "r0", await stored(store, "r0", "a.bin", b"aaaa"), now=NOW)
    for moment in (NOW, NOW + FILE_KEEP - timedelta(seconds=1)):
        assert (await sweep(store, KEEP, now=moment)).objects == 0
    assert (await sweep(store, KEEP, now=NOW + FILE_KEEP, dry_run=True)).objects == 0
    assert await index(store) != []
    assert (await sweep(store, KEEP, now=NOW + FILE_KEEP)).waiting == 1
    assert await index(store) == []
    assert (await sweep(store, KEEP, now=NOW + FILE_KEEP + KEEP)).prefixes == ("team/a/data/r0-1/",)


async def test_a_dry_run_tells_and_does_nothing(store: Store) -> None:
    await uploaded(store, "r0", 1, FOO, ["0"])
    await sweep(store, KEEP, now=NOW)
    told = await sweep(store, KEEP, now=LATER, dry_run=True)
    assert (told.objects, await folders(store), await read_journal(store, "r0")) == (1, ["r0-1"], None)
    assert (await sweep(store, KEEP, now=LATER)).objects == 1


async def test_what_was_swept_can_not_be_published_any_more(store: Store) -> None:
    table = await uploaded(store, "r0", 1, FOO, ["0"])
    await sweep(store, KEEP, now=NOW)
    await sweep(store, KEEP, now=LATER)
    with pytest.raises(FencedError, match="was swept"):
        await publish(store, "r0", 1, result(table))


async def test_a_run_that_is_being_published_is_left_alone(store: Store) -> None:
    table = await uploaded(store, "r0", 1, FOO, ["0"])
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await publish(MortalStore(store, 1, after=True), "r0", 1, result(table))
    await sweep(store, KEEP, now=NOW)
    assert (await sweep(store, KEEP, now=LATER)).objects == 0
    await publish(store, "r0", 1, result(table))
    assert await content(store, FOO) == ["a", "0"]


async def test_a_commit_between_look_and_claim_wins(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    table = await uploaded(store, "r0", 1, FOO, ["0"])
    await sweep(store, KEEP, now=NOW)
    create = store.create

    async def publish_first(key: str, data: bytes) -> str:
        monkeypatch.setattr(store, "create", create)
        await publish(store, "r0", 1, result(table))
        return await create(key, data)

    monkeypatch.setattr(store, "create", publish_first)
    assert (await sweep(store, KEEP, now=LATER)).objects == 0
    assert await content(store, FOO) == ["a", "0"]


async def test_a_commit_that_is_done_between_look_and_claim_wins(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    table = await uploaded(store, "r0", 1, FOO, ["0"])
    await sweep(store, KEEP, now=NOW)
    find = store.find

    async def publish_first(key: str) -> Stored | None:
        if key == store.layout.sweep():  # the notes are read right after the first look
            monkeypatch.setattr(store, "find", find)
            await publish(store, "r0", 1, result(table))
        return await find(key)

    monkeypatch.setattr(store, "find", publish_first)
    assert (await sweep(store, KEEP, now=LATER)).objects == 0
    assert await content(store, FOO) == ["a", "0"]


async def test_other_attempts_of_a_published_run_go(store: Store) -> None:
    await uploaded(store, "r0", 1, FOO, ["lost"])
    await publish(store, "r0", 2, result(await uploaded(store, "r0", 2, FOO, ["0"])))
    await sweep(store, KEEP, now=NOW)
    assert (await sweep(store, KEEP, now=LATER)).prefixes == ("team/a/data/r0-1/",)
    assert await content(store, FOO) == ["a", "0"]


async def test_an_attempts_plans_go_with_its_data(store: Store) -> None:
    for attempt in (1, 2):
        await uploaded(store, "r0", attempt, FOO, ["0"])
        await store.put(store.layout.stage_in_plan("r0", attempt), b"{}")
    await publish(store, "r0", 2, result(await uploaded(store, "r0", 2, FOO, ["0"])))
    await sweep(store, KEEP, now=NOW)
    assert (await sweep(store, KEEP, now=LATER)).objects == 2
    left = [info.key async for info in store.objects(store.layout.run("r0"))]
    assert left == [store.layout.stage_in_plan("r0", 2), store.layout.journal("r0")]


async def test_objects_that_are_nobodys_are_not_touched(store: Store) -> None:
    await store.put("team/a/data/notes/readme.txt", b"x")
    await store.put("team/a/files/x.csv", b"x")
    await sweep(store, KEEP, now=NOW)
    assert (await sweep(store, KEEP, now=LATER)).objects == 0


async def test_a_keep_time_shorter_than_the_longest_run_is_refused(store: Store) -> None:
    with pytest.raises(PlatformError, match="at least"):
        await sweep(store, MIN_KEEP - timedelta(seconds=1))
