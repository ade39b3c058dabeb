"""Sweeping on real stores: unpublished data, overwritten objects, and incomplete uploads."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.storage.access.grants import make_client
from componentrun.storage.cleanup.sweep import MIN_KEEP, sweep
from componentrun.storage.files.lookup import FileQuery, find_files
from componentrun.storage.files.records import read_content
from componentrun.storage.store.multipart import end_uploads
from componentrun.storage.store.objectversions import Versions
from tests.unit.storage.filing import published, stored

if TYPE_CHECKING:
    from componentrun.storage.store.connection import Store
    from componentrun.storage.store.settings import StoreSettings

pytestmark = pytest.mark.store

LATER = timedelta(days=8)
"""Longer than the retention of any unreferenced object."""


async def kept(store: Store) -> bytes:
    """Content of the only published file."""
    (record,) = await find_files(store, FileQuery(name="kept.bin"))
    return b"".join([chunk async for chunk in read_content(store, record)])


async def test_what_nobody_published_is_swept(store: Store) -> None:
    await published(store, "r1", await stored(store, "r1", "kept.bin", b"12345678", permanent=True))
    for name in ("out.c-main/foo/0000.csv.zst", "files/x"):
        await store.put(store.layout.data("r2", 1) + name, b"1\n")
    await store.put(store.layout.stage_in_plan("r2", 1), b"{}")
    now = datetime.now(UTC)
    assert (await sweep(store, now=now)).waiting == 1
    assert (await sweep(store, now=now + MIN_KEEP / 2)).prefixes == ()
    counted = await sweep(store, now=now + MIN_KEEP, dry_run=True)
    done = await sweep(store, now=now + MIN_KEEP)
    assert (counted.objects, done.objects, done.bytes) == (3, 3, 6)
    assert [info.key async for info in store.objects(store.layout.data("r2", 1))] == []
    assert await kept(store) == b"12345678"


async def test_an_upload_that_nobody_ended_is_ended(store: Store, settings: StoreSettings, kind: str) -> None:
    client = make_client(settings)
    key = f"{settings.prefix}/files/large.bin"
    client._create_multipart_upload(settings.bucket, key, {})
    later = datetime.now(UTC) + timedelta(hours=1)
    assert await end_uploads(settings, datetime.now(UTC) - timedelta(hours=1)) == 0, "it may go on"
    told = await end_uploads(settings, later, dry_run=True)
    # MinIO lists uploads only for a complete key, and aborts them itself after a day.
    assert told == (0 if kind == "minio" else 1)
    assert (await sweep(store, now=later + MIN_KEEP, hidden=True)).uploads == told
    assert await end_uploads(settings, later, dry_run=True) == 0


async def test_a_store_that_does_not_tell_of_uploads_is_swept_all_the_same(settings: StoreSettings) -> None:
    strange = dataclasses.replace(settings, bucket="not-there")
    assert await end_uploads(strange, datetime.now(UTC)) is None


async def test_what_is_deleted_is_gone_also_where_the_bucket_keeps_versions(
    store: Store, settings: StoreSettings, kind: str
) -> None:
    versions = Versions(settings)
    written = await stored(store, "r1", "kept.bin", b"1234", permanent=True)
    await published(store, "r1", written)
    over = written.parts[0].key
    loose = store.layout.data("r9", 1) + "out.c-main/foo/0000.csv"
    for content in (b"loose,9\n", b"other\n"):
        await store.put(loose, content)
    now = datetime.now(UTC) + LATER
    await sweep(store, now=now, hidden=True)
    if kind == "versitygw":
        assert (await sweep(store, now=now, hidden=True)).hidden == 0, "this store keeps no versions"
        return
    assert len(await versions.below(store.layout.data("r9", 1))) == 2, "it may be published at this moment"
    counted = await sweep(store, now=now + MIN_KEEP, hidden=True, dry_run=True)
    done = await sweep(store, now=now + MIN_KEEP, hidden=True)
    assert (done.hidden or 0) >= 3
    assert counted.hidden is not None
    left = await versions.below(f"{settings.prefix}/")
    assert {item.key for item in left if item.key.startswith(store.layout.data_root())} == {over}
    assert all(item.latest and not item.marker for item in left if not item.key.endswith("sweep.json"))
    assert await kept(store) == b"1234"
