"""100,000 runs with events in the cluster's store: made once by the product's own code, then kept.

A request for each of half a million small objects would take a quarter of an hour. So they are written to a store in
memory, and brought from there some thousands at a time: MinIO makes objects of the files of an archive by itself.
"""

from __future__ import annotations

import asyncio
import io
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from minio.commonconfig import SnowballObject
from obstore.store import MemoryStore

from componentrun.storage.connection import Store, open_store
from componentrun.storage.eventruns import EventRun, enter_ended
from componentrun.storage.events import About, Event, append_segment
from componentrun.storage.grants import make_client
from componentrun.storage.tables import gather_bounded
from e2e.cluster.progress import say

if TYPE_CHECKING:
    from componentrun.storage.settings import StoreSettings

__all__ = ["BUSY", "QUIET", "RUNS", "keep_or_make"]

RUNS: Final = 100_000
_EVENTS: Final = 20
"""Of each run."""
_BUSY_EVERY: Final = 10
BUSY: Final = ("busy", "1")
"""Component and configuration of each tenth run."""
QUIET: Final = ("component-7", "17")
"""Component and configuration of nine runs, as of all others."""
_COMPONENTS: Final = 50
_CONFIGURATIONS: Final = 200
_BATCH: Final = 1_250
_AT_ONCE: Final = 4
"""Archives; MinIO unpacks each one file after the other."""
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_EVERY: Final = timedelta(minutes=4)
_ERROR_EVERY: Final = 1_000


def keep_or_make(settings: StoreSettings, runs: int = RUNS) -> None:
    """See to it that the runs are below the prefix of these settings.

    Args:
        settings: how to reach the store, which must be MinIO.
        runs: how many.
    """
    client, done = make_client(settings), f"{settings.prefix}/made.json"
    if _made(settings, done) == runs:
        return

    def bring(first: int) -> None:
        some = range(first, min(first + _BATCH, runs))
        objects = asyncio.run(_objects(settings, some))
        client.upload_snowball_objects(settings.bucket, objects)
        say(f"      runs {some.start:,} to {some.stop:,} of {runs:,} are there, {len(objects):,} objects")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(bring, range(0, runs, _BATCH)))
    body = json.dumps({"runs": runs}).encode()
    client.put_object(settings.bucket, done, io.BytesIO(body), len(body))


def _made(settings: StoreSettings, key: str) -> int:
    found = asyncio.run(open_store(settings).find(key))
    return int(json.loads(found.data)["runs"]) if found is not None else 0


async def _objects(settings: StoreSettings, numbers: range) -> list[SnowballObject]:
    """What the collector leaves of these runs."""
    store = Store(settings, MemoryStore())
    await gather_bounded(lambda number: _write(store, number), numbers)
    found = [info.key async for info in store.objects(f"{settings.prefix}/")]
    return [_object(key, (await store.get(key)).data) for key in found]


def _object(key: str, data: bytes) -> SnowballObject:
    return SnowballObject(key, data=io.BytesIO(data), length=len(data), mod_time=datetime.now(UTC))


async def _write(store: Store, number: int) -> None:
    component, configuration = BUSY
    if number % _BUSY_EVERY:
        component, configuration = f"component-{number % _COMPONENTS}", str(number // _COMPONENTS % _CONFIGURATIONS)
    uid, begin = f"{number:08x}-0000-4000-8000-{number:012x}", _START + number * _EVERY
    events = [
        Event(
            id=f"{uid}-{seq}",
            seq=seq,
            time=(begin + timedelta(seconds=seq)).isoformat(),
            run=uid,
            component=component,
            configuration=configuration,
            type="error" if number % _ERROR_EVERY == 0 and seq == _EVENTS else "info",
            message=f"run {number}: step {seq} of {_EVENTS} is done, and all is as it should be",
            source="component" if 1 < seq < _EVENTS else "operator",
            attempt=1,
        )
        for seq in range(1, _EVENTS + 1)
    ]
    about = About().following(f"run-{number}", events, begin + timedelta(seconds=_EVENTS))
    await append_segment(store, uid, 1, events, {"finished": True}, about)
    await enter_ended(store, EventRun(uid, component, configuration), about)
