"""Adds runs to the index of events, and finds them there (keys: `storage.events.index`).

A run is added as open before its first segment is written, and as ended after its last one. Both are idempotent: the
entry of an ended run is derived from its last segment alone. A process that is killed in between leaves a run that is
open, or open and ended; its events are found in either case.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from componentrun.storage.events.events import EventRun
from componentrun.storage.events.index import LENGTHS, EndedRun
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.storage.events.events import About
    from componentrun.storage.store.connection import Store

__all__ = ["EventRun", "ended_runs", "enter_ended", "enter_open", "open_runs"]


async def enter_open(store: Store, run: EventRun) -> None:
    """Add a run that has events, or will have them in a moment."""
    key = store.layout.event_index.open_run(run.component, run.configuration, run.uid)
    body = {"run": run.uid, "component": run.component, "configuration": run.configuration}
    await store.put(key, json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace"))


async def enter_ended(store: Store, run: EventRun, about: About) -> None:
    """Mark the events of a run as complete.

    Args:
        store: the Storage.
        run: the run.
        about: totals in its last segment.
    """
    index = store.layout.event_index
    begin, end = datetime.fromisoformat(about.begin), datetime.fromisoformat(about.latest)
    ended = EndedRun(end, begin, run.uid, about.counts)
    body = json.dumps(ended.to_json(run.component, run.configuration), ensure_ascii=False)
    data = body.encode(errors="backslashreplace")
    first, *others = index.ended_run(ended, run.component, run.configuration)
    # The sweeper finds runs by the first key, so the others must never exist without it.
    await store.put(first, data)
    await gather_bounded(lambda key: store.put(key, data), others)
    await store.delete([index.open_run(run.component, run.configuration, run.uid)])


async def open_runs(store: Store, component: str | None = None, configuration: str | None = None) -> list[str]:
    """Return uids of runs with incomplete events: of a configuration, of a component, or all."""
    index = store.layout.event_index
    found = [index.open_run_of(info.key) async for info in store.objects(index.open(component, configuration))]
    return [run for run in found if run is not None]


async def ended_runs(
    store: Store,
    component: str | None = None,
    configuration: str | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    began_by: datetime | None = None,
) -> AsyncIterator[EndedRun]:
    """Yield runs with complete events, the one that ended last first.

    The listings begin and end at the requested times, so their cost does not depend on the number of other runs.

    Args:
        store: the Storage.
        component: only runs of this component.
        configuration: only runs of this configuration of the component.
        since: only runs that ended at this time or later.
        until: only runs that ended before this time.
        began_by: leave out runs that began after this time, as far as the index tells without listing them.
    """
    index = store.layout.event_index
    folders = []
    for name, length in LENGTHS.items():
        folder = f"{index.ended(component, configuration)}{name}/"
        starts = [index.ended_before(folder, until)] if until is not None else []
        if began_by is not None and length is not None:
            # Two milliseconds more, because times in keys are rounded.
            starts.append(index.ended_before(folder, began_by, length + timedelta(milliseconds=2)))
        folders.append(_folder(store, folder, max(starts, default=None), since))
    heads = await asyncio.gather(*(anext(folder, None) for folder in folders))
    while (newest := max((run for run in heads if run is not None), default=None)) is not None:
        yield newest
        at = heads.index(newest)
        heads[at] = await anext(folders[at], None)


async def _folder(store: Store, folder: str, after: str | None, since: datetime | None) -> AsyncIterator[EndedRun]:
    async for info in store.objects(folder, after=after):
        found = EndedRun.of_key(info.key, info.modified)
        if found is not None:
            if since is not None and found.end < since:
                return
            yield found
