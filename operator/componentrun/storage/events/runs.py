"""Entering runs in the index of events, and finding them there (keys: `storage.events.index`).

A run is entered as open before its first segment is written, and as ended when its last one was. Both may be repeated:
the entry of an ended run follows from its last segment alone. Who dies in between leaves a run that is open, or both;
either way its events are found.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from componentrun.storage.events.index import EndedRun
from componentrun.storage.store.gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.storage.events.events import About
    from componentrun.storage.store.connection import Store

__all__ = ["EventRun", "ended_runs", "enter_ended", "enter_open", "open_runs"]


@dataclass(frozen=True, slots=True)
class EventRun:
    """A run that has events."""

    uid: str
    component: str
    configuration: str


async def enter_open(store: Store, run: EventRun) -> None:
    """Say that a run has events, or will have in a moment."""
    key = store.layout.event_index.open_run(run.component, run.configuration, run.uid)
    body = {"run": run.uid, "component": run.component, "configuration": run.configuration}
    await store.put(key, json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace"))


async def enter_ended(store: Store, run: EventRun, about: About) -> None:
    """Say that all events of a run are there.

    Args:
        store: the Storage.
        run: which.
        about: what its last segment says.
    """
    index = store.layout.event_index
    begin, end = datetime.fromisoformat(about.begin), datetime.fromisoformat(about.latest)
    ended = EndedRun(end, begin, run.uid, about.counts)
    body = json.dumps(ended.to_json(run.component, run.configuration), ensure_ascii=False)
    data = body.encode(errors="backslashreplace")
    first, *others = index.ended_run(ended, run.component, run.configuration)
    # The sweeper goes by the first: what it leads to must never be there without it.
    await store.put(first, data)
    await gather_bounded(lambda key: store.put(key, data), others)
    await store.delete([index.open_run(run.component, run.configuration, run.uid)])


async def open_runs(store: Store, component: str | None = None, configuration: str | None = None) -> list[str]:
    """Uids of the runs whose events are not complete: of a configuration, of a component, or all."""
    index = store.layout.event_index
    found = [index.open_run_of(info.key) async for info in store.objects(index.open(component, configuration))]
    return [run for run in found if run is not None]


async def ended_runs(
    store: Store, component: str | None = None, configuration: str | None = None
) -> AsyncIterator[EndedRun]:
    """Runs whose events are complete, the one that ended last first."""
    async for info in store.objects(store.layout.event_index.ended(component, configuration)):
        found = EndedRun.of_key(info.key)
        if found is not None:
            yield found
