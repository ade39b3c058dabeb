"""Two at a time, and long waits: what was published late, what was swept early, what was taken away and given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.storage.commit import FencedError, publish, read_journal
from componentrun.storage.filelookup import FileQuery, find_files
from componentrun.storage.files import change_file
from componentrun.storage.retention import Retention
from componentrun.storage.sweep import MIN_KEEP, sweep
from tests.unit.storage.filing import published, stored
from tests.unit.storage.scenarios import content, result, uploaded

if TYPE_CHECKING:
    from componentrun.storage.connection import Store

FOO = "in.c-main.foo"
NOW = datetime.now(UTC) + timedelta(hours=1)
"""Later than the times of all objects, which the store sets."""
LATER = NOW + MIN_KEEP


async def swept(store: Store, now: datetime) -> tuple[str, ...]:
    """The data prefixes that go, where no earlier versions of tables are kept."""
    return (await sweep(store, history=timedelta(0), now=now)).prefixes


async def test_an_attempt_that_had_to_wait_is_published_though_the_one_before_it_was_swept(store: Store) -> None:
    await uploaded(store, "r0", 1, FOO, ["left"])
    await swept(store, NOW)
    assert await swept(store, LATER) == ("team/a/data/r0-1/",)
    table = await uploaded(store, "r0", 2, FOO, ["0"])
    await publish(store, "r0", 2, result(table))
    assert await content(store, FOO) == ["a", "0"]
    journal = await read_journal(store, "r0")
    assert journal is not None
    assert (journal.state, journal.commit.attempt) == ("done", 2)


async def test_what_was_swept_of_an_attempt_and_those_before_it_is_never_published(store: Store) -> None:
    tables = {attempt: await uploaded(store, "r0", attempt, FOO, [str(attempt)]) for attempt in (1, 2)}
    await swept(store, NOW)
    assert len(await swept(store, LATER)) == 2
    for attempt, table in tables.items():
        with pytest.raises(FencedError, match="was swept"):
            await publish(store, "r0", attempt, result(table))


@pytest.mark.parametrize("first", ["sweeper", "operator"])
async def test_of_a_claim_and_a_publish_at_once_one_wins(
    store: Store, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Over the journal that an earlier attempt's claim left, by compare-and-swap."""
    await uploaded(store, "r0", 1, FOO, ["left"])
    await swept(store, NOW)
    await swept(store, LATER)
    table = await uploaded(store, "r0", 2, FOO, ["0"])
    await swept(store, LATER)
    swap = store.swap

    async def other_first(key: str, data: bytes, etag: str) -> str:
        if key == store.layout.journal("r0"):
            monkeypatch.setattr(store, "swap", swap)
            if first == "sweeper":
                await swept(store, LATER + MIN_KEEP)
            else:
                await publish(store, "r0", 2, result(table))
        return await swap(key, data, etag)

    monkeypatch.setattr(store, "swap", other_first)
    if first == "sweeper":
        with pytest.raises(FencedError, match="was swept"):
            await publish(store, "r0", 2, result(table))
    else:
        assert await swept(store, LATER + MIN_KEEP) == ()
        assert await content(store, FOO) == ["a", "0"]


async def test_what_was_noted_before_it_was_published_is_kept_for_its_readers(store: Store) -> None:
    """A sweep while the run uploads, one that failed, and one just after the table was loaded anew."""
    table = await uploaded(store, "r0", 1, FOO, ["0"])
    await swept(store, NOW - timedelta(hours=2))
    await publish(store, "r0", 1, result(table))
    await publish(store, "r1", 1, result(await uploaded(store, "r1", 1, FOO, ["1"])))
    assert await swept(store, LATER) == ()
    assert await swept(store, LATER + MIN_KEEP) == ("team/a/data/r0-1/",)


async def test_a_tag_that_is_taken_away_and_given_at_once_leads_to_its_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = await published(store, "r0", await stored(store, "r0", "a.bin", b"aaaa", tags=["daily"]))
    delete = store.delete

    async def given_first(keys: Any) -> None:
        monkeypatch.setattr(store, "delete", delete)
        await change_file(store, file, add=["daily"])
        await delete(keys)

    monkeypatch.setattr(store, "delete", given_first)
    await change_file(store, file, remove=["daily"])
    assert [found.id for found in await find_files(store, FileQuery(tags=("daily",)))] == [file]


def test_events_that_are_not_to_be_kept_at_all_are_not_kept_for_good() -> None:
    assert not Retention(None, {"noisy": timedelta(0)}).endless
    assert Retention(None, {"noisy": None}).endless
