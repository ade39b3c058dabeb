"""Sweeping: nothing that is named, young or being published; everything else, in the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.errors import PlatformError
from componentrun.storage.cleanup import sweep as sweeping
from componentrun.storage.cleanup.sweep import MIN_KEEP, Swept, sweep
from componentrun.storage.files.publish import check_files, publish_files
from componentrun.storage.files.records import FILE_KEEP
from tests.unit.storage.filing import index, published, stored
from tests.unit.storage.scenarios import uploaded

if TYPE_CHECKING:
    from componentrun.storage.store.connection import Store

FOO = "in.c-main.foo"
NOW = datetime.now(UTC) + timedelta(hours=1)
"""Later than the times of all objects, which the store sets."""
LATER = NOW + MIN_KEEP
KEEP = MIN_KEEP


async def swept(store: Store, *, now: datetime, dry_run: bool = False) -> Swept:
    return await sweep(store, KEEP, now=now, dry_run=dry_run)


async def folders(store: Store) -> list[str]:
    return sorted(folder.split("/")[-2] for folder in await store.folders(store.layout.data_root()))


async def notes(store: Store) -> list[str]:
    """Keys of what is kept of runs."""
    return [info.key async for info in store.objects(store.layout.runs_root())]


async def test_what_an_attempt_uploaded_for_tables_goes_after_the_keep_time(store: Store) -> None:
    await uploaded(store, "r0", 1, FOO, ["0", "1", "2"])
    first = await swept(store, now=NOW)
    assert (first.objects, first.waiting) == (0, 1)
    assert (await swept(store, now=LATER - timedelta(seconds=1))).objects == 0
    done = await swept(store, now=LATER)
    assert (done.prefixes, done.objects, done.bytes, done.waiting) == (("team/a/data/r0-1/",), 2, 6, 0)
    assert await folders(store) == []


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
    assert (told.objects, await folders(store), await notes(store)) == (1, ["r0-1"], [])
    assert (await swept(store, now=LATER)).objects == 1


async def test_files_whose_bytes_were_swept_can_not_be_published_any_more(store: Store) -> None:
    file = await stored(store, "r0", "a.bin", b"aaaa")
    records = await check_files(store, "r0", 1, [file], NOW)
    await swept(store, now=NOW)
    await swept(store, now=LATER)
    with pytest.raises(PlatformError, match="was swept"):
        await publish_files(store, "r0", 1, records)
    assert "records" not in await index(store)


async def test_files_that_are_published_between_look_and_claim_keep_their_bytes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await stored(store, "r0", "a.bin", b"aaaa")
    records = await check_files(store, "r0", 1, [file], NOW)
    await swept(store, now=NOW)
    put = store.put

    async def publish_first(key: str, data: bytes) -> Any:
        if key == store.layout.swept("r0", 1):
            monkeypatch.setattr(store, "put", put)
            await publish_files(store, "r0", 1, records)
        return await put(key, data)

    monkeypatch.setattr(store, "put", publish_first)
    assert (await swept(store, now=LATER)).objects == 0
    assert await folders(store) == ["r0-1"]


async def test_an_attempt_that_had_to_wait_is_published_though_the_one_before_it_was_swept(store: Store) -> None:
    await uploaded(store, "r0", 1, FOO, ["left"])
    await swept(store, now=NOW)
    assert (await swept(store, now=LATER)).prefixes == ("team/a/data/r0-1/",)
    key = f"{store.layout.data('r0', 2)}files/a"
    file = (await stored(store, "r0", "a.bin", b""),)
    await store.put(key, b"x")
    records = await check_files(store, "r0", 2, file, LATER)
    await publish_files(store, "r0", 2, records)
    assert "records" in await index(store)


async def test_an_attempts_plans_go_with_its_data(store: Store) -> None:
    await uploaded(store, "r0", 1, FOO, ["0"])
    await store.put(store.layout.stage_in_plan("r0", 1), b"{}")
    await swept(store, now=NOW)
    done = await swept(store, now=LATER)
    assert (done.objects, done.documents) == (2, 0)
    assert await notes(store) == [store.layout.swept("r0", 1)]


async def test_objects_that_are_nobodys_are_not_touched(store: Store) -> None:
    await store.put("team/a/data/notes/readme.txt", b"x")
    await store.put("team/a/files/x.csv", b"x")
    await swept(store, now=NOW)
    assert (await swept(store, now=LATER)).objects == 0


async def test_a_keep_time_shorter_than_the_longest_run_is_refused(store: Store) -> None:
    with pytest.raises(PlatformError, match="at least"):
        await sweep(store, MIN_KEEP - timedelta(seconds=1))


async def test_a_note_of_swept_data_stays_for_one_more_sweep_than_the_data(store: Store) -> None:
    await uploaded(store, "r0", 1, FOO, ["0"])
    await store.put(store.layout.stage_in_plan("r1", 1), b"{}")
    assert (await swept(store, now=NOW)).documents == 0
    done = await swept(store, now=LATER)
    assert (done.prefixes, done.documents) == (("team/a/data/r0-1/",), 1)
    assert await notes(store) == [store.layout.swept("r0", 1)]
    assert (await swept(store, now=LATER)).documents == 1
    assert await notes(store) == []


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
