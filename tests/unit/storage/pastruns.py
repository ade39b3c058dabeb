"""What the tests of events of many runs share: runs as collectors leave them, and a plain model of asking for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from obstore.store import MemoryStore

from componentrun.storage.events.events import About, Event, Placed
from componentrun.storage.events.runs import EventRun, enter_ended, enter_open
from componentrun.storage.events.segments import append_segment
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.storage.events.query import EventQuery

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp(second: float) -> str:
    return (START + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


@dataclass(frozen=True)
class Run:
    """What the model knows of one run."""

    uid: str
    component: str
    configuration: str
    ended: bool
    segments: tuple[tuple[tuple[float, str, str], ...], ...]
    """Second, type and message of each event."""


def events_of(run: Run) -> list[list[Event]]:
    made: list[list[Event]] = []
    seq = 0
    for segment in run.segments:
        made.append([])
        for second, kind, message in segment:
            seq += 1
            made[-1].append(
                Event(
                    id=f"{run.uid}-{seq}", seq=seq, time=stamp(second), run=run.uid, component=run.component,
                    configuration=run.configuration, type=kind, message=message, source="component",  # type: ignore[arg-type]
                )
            )  # fmt: skip
    return made


async def write(store: Store, run: Run) -> About:
    about, event_run, first = About(), EventRun(run.uid, run.component, run.configuration), 1
    await enter_open(store, event_run)
    for events in events_of(run):
        written = max(datetime.fromisoformat(event.time) for event in events)
        about = about.following(f"name-{run.uid}", events, written)
        await append_segment(store, run.uid, first, events, {}, about)
        first += len(events)
    if run.ended:
        await enter_ended(store, event_run, about)
    return about


def model(runs: Sequence[Run], query: EventQuery) -> list[Event]:
    """All that fit, in order: places never go back within a run."""
    found = []
    for run in runs:
        if query.component not in {None, run.component} or query.configuration not in {None, run.configuration}:
            continue
        latest = datetime.min.replace(tzinfo=UTC)
        for event in (event for events in events_of(run) for event in events):
            latest = max(latest, datetime.fromisoformat(event.time))
            if query.takes(Placed(latest, event)):
                found.append(Placed(latest, event))
    return [item.event for item in sorted(found)]


def in_memory() -> Store:
    return Store(StoreSettings(bucket="bucket", endpoint="http://store.test", prefix="team/a"), MemoryStore())


seconds = st.integers(0, 40).map(lambda number: number / 2)
events = st.tuples(seconds, st.sampled_from(["info", "error", "warn", "success"]), st.sampled_from(["hot", "cold"]))
segments = st.lists(st.lists(events, min_size=1, max_size=4).map(tuple), min_size=1, max_size=4).map(tuple)
runs = st.lists(
    st.tuples(st.sampled_from(["a", "reg/b:1", "c" * 300]), st.sampled_from(["", "1", "č"]), st.booleans(), segments),
    max_size=24,
).map(lambda found: [Run(f"run-{number}", *item) for number, item in enumerate(found)])
