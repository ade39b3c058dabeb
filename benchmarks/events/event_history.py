"""100,000 runs with events in the cluster's store, created once and kept.

The product's own code creates keys and contents. A request for each of 200,000 small objects would take 15 minutes, so
some thousands are uploaded at a time as an archive, which MinIO extracts.

Objects that no query needs are left out: the segments of other old runs, and keys by component except for one. If a
query read more than necessary, it would find too few events, and the benchmark would fail.
"""

from __future__ import annotations

import asyncio
import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from minio.commonconfig import SnowballObject

from componentrun.storage.access.grants import make_client
from componentrun.storage.events.blocks import Block, MergedBuilder
from componentrun.storage.events.events import About, Event, Segment
from componentrun.storage.events.index import EndedRun
from componentrun.storage.store.connection import open_store
from dev.cluster.progress import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.storage.store.keys import Layout
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["BUSY", "QUIET", "RUNS", "keep_or_make"]

RUNS: Final = 100_000
BUSY: Final = ("busy", "1")
"""Component and configuration of every tenth run."""
QUIET: Final = ("component-7", "17")
"""Component and configuration of nine or ten runs, like all others."""
_EVENTS: Final = 20
"""Events of each run."""
_BUSY_EVERY: Final = 10
_ERROR_EVERY: Final = 1_000
"""Interval of runs that end with an error; all of them belong to `BUSY`."""
_NEW: Final = 3_000
_COMPONENTS: Final = 50
_CONFIGURATIONS: Final = 200
_BATCH: Final = 2_500
_AT_ONCE: Final = 4
"""Number of concurrent archives; MinIO extracts each of them file by file."""
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_EVERY: Final = timedelta(minutes=4)


def keep_or_make(settings: StoreSettings) -> None:
    """Create the runs below the prefix of these settings, unless they exist; the store must be MinIO."""
    client, done = make_client(settings), f"{settings.prefix}/made.json"
    if _made(settings, done) == RUNS:
        return

    def bring(first: int) -> None:
        some = range(first, min(first + _BATCH, RUNS))
        objects = [item for number in some for item in _objects(settings.layout, number, new=number >= RUNS - _NEW)]
        client.upload_snowball_objects(settings.bucket, objects)
        say(f"      runs {some.start:,} to {some.stop:,} of {RUNS:,} are there, {len(objects):,} objects")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(bring, range(0, RUNS, _BATCH)))
    body = json.dumps({"runs": RUNS}).encode()
    client.put_object(settings.bucket, done, io.BytesIO(body), len(body))


def _made(settings: StoreSettings, done: str) -> int:
    """Return the number of existing runs; 0 if objects of the first or the last of them were deleted."""

    async def look() -> int:
        store = open_store(settings)
        found = await store.find(done)
        runs = int(json.loads(found.data)["runs"]) if found is not None else 0
        ends = [
            item.object_name for number in {0, runs - 1} for item in _objects(settings.layout, number, new=number > 0)
        ]
        return runs if runs and all([await store.head(key) is not None for key in ends]) else 0

    return asyncio.run(look())


@dataclass(frozen=True)
class _Run:
    number: int

    @property
    def uid(self) -> str:
        return f"{self.number:08x}-0000-4000-8000-{self.number:012x}"

    @property
    def names(self) -> tuple[str, str]:
        """Component and configuration."""
        if self.number % _BUSY_EVERY == 0:
            return BUSY
        return f"component-{self.number % _COMPONENTS}", str(self.number // _COMPONENTS % _CONFIGURATIONS)

    @property
    def failed(self) -> bool:
        return self.number % _ERROR_EVERY == 0

    @property
    def events(self) -> list[Event]:
        component, configuration = self.names
        begin = _START + self.number * _EVERY
        return [
            Event(
                id=f"{self.uid}-{seq}",
                seq=seq,
                time=(begin + timedelta(seconds=seq)).isoformat(),
                run=self.uid,
                component=component,
                configuration=configuration,
                type="error" if self.failed and seq == _EVENTS else "info",
                message=f"run {self.number}: step {seq} of {_EVENTS} is done, and all is as it should be",
                source="component" if 1 < seq < _EVENTS else "operator",
                attempt=1,
            )
            for seq in range(1, _EVENTS + 1)
        ]


def _objects(layout: Layout, number: int, *, new: bool) -> Iterator[SnowballObject]:
    """Yield the objects of a run that queries need."""
    run = _Run(number)
    begin = _START + number * _EVERY
    errors = int(run.failed)
    ended = EndedRun(
        begin + timedelta(seconds=_EVENTS),
        begin + timedelta(seconds=1),
        run.uid,
        {"info": _EVENTS - errors, "error": errors},
    )
    entry = json.dumps(ended.to_json(*run.names), ensure_ascii=False).encode()
    of_component, *others = layout.event_index.ended_run(ended, *run.names)
    for key in [*others, *([of_component] if run.names[0] == QUIET[0] else [])]:
        yield _object(key, entry)
    if new or run.failed or run.names == QUIET:
        events = run.events
        about = About().following(f"run-{number}", events, begin + timedelta(seconds=_EVENTS))
        segment = Segment(run.uid, 1, {"finished": True}, tuple(events), about)
        merged = MergedBuilder()
        merged.add(Block.of(segment))
        yield _object(layout.merged_events(run.uid, 1, _EVENTS), merged.finish(segment.checkpoint))


def _object(key: str, data: bytes) -> SnowballObject:
    return SnowballObject(key, data=io.BytesIO(data), length=len(data), mod_time=datetime.now(UTC))
