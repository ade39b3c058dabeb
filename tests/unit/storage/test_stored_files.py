"""Files in Storage: published once, found by what is known of them, gone when they should be."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.errors import PlatformError, Reason, UserError
from componentrun.storage.files import upload as fileupload
from componentrun.storage.files.expiry import delete_expired, named_data
from componentrun.storage.files.index import file_id, file_of_key, is_file_id
from componentrun.storage.files.lookup import FileQuery, find_files
from componentrun.storage.files.records import FILE_KEEP, change_file, delete_file, need_file, read_content, read_file
from componentrun.storage.files.upload import upload_file
from componentrun.wire.agents import FilePart, FileWritten
from tests.unit.storage.filing import index, published, stored
from tests.unit.storage.scenarios import KilledError, MortalStore

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.storage.store.connection import Store

NOW = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
DATA = ("team/a/data/r0-1/", "team/a/data/r1-1/", "team/a/data/r1-2/")


async def names(store: Store, now: datetime = NOW, **query: Any) -> list[str]:
    return [file.name for file in await find_files(store, FileQuery(**query), now=now)]


async def bytes_of(store: Store, file: str) -> bytes:
    return b"".join([chunk async for chunk in read_content(store, await need_file(store, file, NOW))])


async def test_a_published_file_has_all_that_is_known_of_it(store: Store) -> None:
    written = await stored(store, "r1", "résumé 1.pdf", b"0123456789", tags=["daily", "pdf", "daily"])
    (file,) = await published(store, "r1", written, now=NOW)
    record = await need_file(store, file, NOW)
    assert (record.name, record.tags, record.size, len(record.parts)) == ("résumé 1.pdf", ("daily", "pdf"), 10, 3)
    assert (record.created, record.run, record.attempt, record.expires) == (NOW, "r1", 1, NOW + FILE_KEEP)
    assert await bytes_of(store, file) == b"0123456789"
    assert await named_data(store, DATA) == {"team/a/data/r1-1/"}


async def test_ids_sort_by_time_and_differ_within_a_moment() -> None:
    times = [NOW + timedelta(milliseconds=step) for step in (0, 1, 2, 1_000, 86_400_000, 10**12)]
    ids = [file_id(time, "run", "1", "a") for time in times]
    assert sorted(ids) == ids
    assert all(is_file_id(one) and len(one) == 26 for one in ids)
    same = {file_id(NOW, "run", "1", str(number)) for number in range(1000)}
    assert len(same) == 1000
    assert file_id(NOW, "a", "bc") != file_id(NOW, "ab", "c")


def test_keys_sort_newest_first_and_lead_back_to_their_ids(store: Store) -> None:
    ids = [file_id(NOW + timedelta(seconds=step), "run") for step in range(50)]
    keys = [store.layout.file_index.record(one) for one in ids]
    assert sorted(keys) == keys[::-1]
    assert [file_of_key(key) for key in keys] == ids
    assert file_of_key("records/x.json") is None


WRITES = 9  # 2 records; keys: 2 names, 2 by data, 2 tags, 1 expiry


async def both(store: Store) -> tuple[FileWritten, ...]:
    return (
        await stored(store, "r1", "a.bin", b"aaaa", permanent=True),
        await stored(store, "r1", "b.bin", b"bbbbbb", tags=["x", "y"]),
    )


async def test_files_are_published_with_as_many_writes_as_are_killed_below(store: Store) -> None:
    counting = MortalStore(store, 1000, after=False)
    written = await both(store)
    await published(counting, "r1", *written, now=NOW)
    assert 1000 - counting.left == WRITES
    assert await index(store) == sorted(["records", "names", "data"] * 2 + ["tags"] * 2 + ["expiry"])


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("killed_at", range(1, WRITES + 1))
async def test_killed_at_any_write_every_file_is_there_once_in_the_end(
    store: Store, killed_at: int, after: bool
) -> None:
    wanted = await both(store)
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await published(MortalStore(store, killed_at, after=after), "r1", *wanted, now=NOW)
    for name in await names(store):
        assert await names(store, name=name) == [name], "what is there can be found"
    await published(store, "r1", *wanted, now=NOW)
    assert sorted(await names(store)) == ["a.bin", "b.bin"]
    assert (await names(store, tags=("x",)), await names(store, tags=("x", "y"))) == (["b.bin"], ["b.bin"])
    (file,) = await find_files(store, FileQuery(name="b.bin"), now=NOW)
    assert file.created == NOW
    assert await bytes_of(store, file.id) == b"bbbbbb"


async def test_a_part_outside_of_the_attempts_prefix_is_refused(store: Store) -> None:
    written = await stored(store, "r2", "a.bin", b"aa")
    with pytest.raises(PlatformError, match="the only place") as refusal:
        await published(store, "r1", written)
    assert refusal.value.reason is Reason.PUBLISH_FAILED
    assert await index(store) == []


async def test_a_part_that_is_not_what_was_uploaded_is_refused(store: Store) -> None:
    written = await stored(store, "r1", "a.bin", b"aa")
    other = FilePart(written.parts[0].key, 2, '"other"')
    with pytest.raises(PlatformError, match="is not what stage-out uploaded"):
        await published(store, "r1", dataclasses.replace(written, parts=(other,)))
    assert await index(store) == []


@pytest.mark.parametrize(
    ("name", "tags", "told"),
    [
        ("a/b", (), "is no file name"),
        ("..", (), "is no file name"),
        ("a.manifest", (), "ends with `.manifest`"),
        ("a\nb", (), "holds a control character"),
        ("é" * 91, (), "has 182 bytes; expected at most 180"),
        ("\ud800", (), "is not UTF-8"),
        ("a", (" ",), "has the tag ' ', which is empty"),
        ("a", ("x" * 181,), "which has 181 bytes"),
        ("a", tuple(map(str, range(61))), "has 61 tags; expected at most 60"),
    ],
)
async def test_a_name_or_a_tag_that_can_not_be_one_is_refused(
    store: Store, name: str, tags: tuple[str, ...], told: str
) -> None:
    written = dataclasses.replace(await stored(store, "r1", "a"), name=name, tags=tags)
    with pytest.raises(UserError) as refusal:
        await published(store, "r1", written)
    assert told in refusal.value.message
    assert refusal.value.reason is Reason.OUTPUT_INVALID


async def test_the_longest_name_and_tag_can_be_found(store: Store) -> None:
    name, tag = "é" * 90, "ž" * 90
    await published(store, "r1", await stored(store, "r1", name, tags=[tag]), now=NOW)
    assert await names(store, name=name, tags=(tag,), glob="é*") == [name]


async def test_a_file_is_not_found_once_it_has_expired_and_the_sweeper_takes_all_of_it(store: Store) -> None:
    await published(
        store, "r1", await stored(store, "r1", "a"), await stored(store, "r1", "b", permanent=True), now=NOW
    )
    end = NOW + FILE_KEEP
    assert sorted(await names(store, now=end - timedelta(microseconds=1))) == ["a", "b"]
    assert await names(store, now=end) == ["b"]
    assert await delete_expired(store, now=end - timedelta(microseconds=1)) == 0
    assert await delete_expired(store, now=end, dry_run=True) == 1
    assert await index(store) == sorted(["records", "names", "data"] * 2 + ["expiry"])
    assert await delete_expired(store, now=end) == 1
    assert await index(store) == sorted(["records", "names", "data"])
    assert await named_data(store, DATA) == {"team/a/data/r1-1/"}


async def test_an_expired_file_says_so(store: Store) -> None:
    (file,) = await published(store, "r1", await stored(store, "r1", "a"), now=NOW)
    with pytest.raises(UserError, match="expired at 2026-01-17 03:04 UTC") as refusal:
        await need_file(store, file, NOW + FILE_KEEP)
    assert refusal.value.reason is Reason.INPUT_NOT_FOUND
    with pytest.raises(UserError, match="there is no file `nothing`"):
        await need_file(store, "nothing")


async def test_what_was_made_permanent_in_time_stays(store: Store) -> None:
    recent = datetime.now(UTC)
    (file,) = await published(store, "r1", await stored(store, "r1", "a"), now=recent)
    assert (await change_file(store, file, permanent=True)).permanent
    assert await delete_expired(store, now=recent + 2 * FILE_KEEP) == 0
    assert await index(store) == sorted(["records", "names", "data"])


async def test_tags_change_and_the_file_is_found_by_the_new_ones_only(store: Store) -> None:
    recent = datetime.now(UTC)
    (file,) = await published(store, "r1", await stored(store, "r1", "a", tags=["x", "y"]), now=recent)
    changed = await change_file(store, file, add=["z", "y"], remove=["x", "y", "w"])
    assert changed.tags == ("y", "z")
    assert [await names(store, recent, tags=(tag,)) for tag in "wxyz"] == [[], [], ["a"], ["a"]]
    assert (await index(store)).count("tags") == 2
    with pytest.raises(UserError, match="has the tag '', which is empty"):
        await change_file(store, file, add=[""])


class DyingStore(MortalStore):
    """Deletions count, too."""

    async def delete(self, keys: Any) -> None:
        self.left -= 1
        if self.left == 0 and not self._after:
            raise KilledError
        await super().delete(keys)
        if self.left == 0:
            raise KilledError


STEPS = [(False, step) for step in range(1, 5)] + [(True, step) for step in range(1, 6)]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("permanent", "killed_at"), STEPS)
async def test_a_deletion_that_was_interrupted_leaves_nothing_for_ever(
    store: Store, permanent: bool, killed_at: int, after: bool
) -> None:
    (file,) = await published(store, "r1", await stored(store, "r1", "a", tags=["x"], permanent=permanent), now=NOW)
    record = await need_file(store, file, NOW)
    with pytest.raises((KilledError, BaseExceptionGroup)):
        await delete_file(DyingStore(store, killed_at, after=after), record, NOW)
    there = await read_file(store, file) is not None
    assert not there or await named_data(store, DATA), "the bytes of a file that is there are named"
    swept = await delete_expired(store, now=NOW + FILE_KEEP)
    assert swept == int(there and not permanent)
    if there and permanent:
        await delete_file(store, record, NOW)
    assert await index(store) == []


async def test_a_local_file_is_stored_in_parts(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fileupload, "_PART_BYTES", 4)
    path = tmp_path / "notes.txt"
    path.write_bytes(b"0123456789")
    first = await upload_file(store, path, tags=("x",), permanent=True)
    assert (first.name, first.permanent, [part.size for part in first.parts]) == ("notes.txt", True, [4, 4, 2])
    assert await bytes_of(store, first.id) == b"0123456789"
    empty = tmp_path / "empty"
    empty.touch()
    assert (await upload_file(store, empty, name="other name")).parts == ()
    with pytest.raises(UserError, match="can't read"):
        await upload_file(store, tmp_path / "none")
    with pytest.raises(UserError, match="is no file name"):
        await upload_file(store, path, name="a/b")


async def test_a_file_that_becomes_shorter_while_it_is_read_is_not_stored(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.bin"
    path.write_bytes(bytes(1000))
    monkeypatch.setattr(fileupload, "_PART_BYTES", 100)
    put = store.put

    async def truncating(key: str, data: bytes) -> str:
        path.write_bytes(bytes(150))
        return await put(key, data)

    monkeypatch.setattr(store, "put", truncating)
    with pytest.raises(UserError, match=r"report\.bin: it became shorter while it was read"):
        await upload_file(store, path)
    assert await find_files(store, FileQuery()) == []
