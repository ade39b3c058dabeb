"""Operations on stores, on virtual time: how many at once, none on a store that is down, and no key is forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.controller.metrics import Metrics
from componentrun.controller.storages.gate import StoreDownError, StoreGate
from componentrun.controller.storages.identity import StoreId
from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.work.queue import Backoff, WorkQueue
from componentrun.controller.work.workers import Workers
from componentrun.core.storages.breaker import BreakerSettings
from componentrun.errors import PlatformError, Reason, TransientError, UserError
from componentrun.process.fairqueue import Flow
from componentrun.storage.store.errors import NoAnswerError
from tests.unit.controller import virtualtime
from tests.unit.core.make import make_run

if TYPE_CHECKING:
    from componentrun.controller.storages.references import References

SLOTS = 3
ENDS: dict[str, Exception | None] = {
    "through": None,
    "no answer": NoAnswerError("can't read `k`: the store did not answer", "operation timed out"),
    "user error": UserError("no such table", Reason.INPUT_NOT_FOUND),
    "busy": TransientError("answered with HTTP 503", Reason.STORAGE_UNAVAILABLE),
    "API server": PlatformError("the pod was refused", Reason.POD_REJECTED),
}


class OneForEachName:
    """References of runs that name their Storage."""

    def store_id(self, namespace: str, wanted: str | None) -> StoreId:
        return StoreId(namespace, wanted or "main", "uid", 1)


@dataclass
class Scene:
    """Workers whose reconciler does one operation for each key, until it gets through or the run is gone."""

    script: dict[Key, list[str]] = field(default_factory=dict)
    """How the next operations of a key end; later ones get through."""
    seconds: float = 1.0
    done: list[Key] = field(default_factory=list)
    gone: set[Key] = field(default_factory=set)
    running: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    refused: dict[Key, StoreDownError] = field(default_factory=dict)
    changed: list[Key] = field(default_factory=list)

    def start(self, workers: int = 4) -> None:
        self.caches, self.metrics = Caches(), Metrics()
        self.queue: WorkQueue[Key] = WorkQueue(
            backoff=Backoff(jitter=0), flow_of=lambda key: Flow(key.namespace), workers=workers
        )
        references = cast("References", OneForEachName())
        self.gate = StoreGate(
            self.queue, self.caches, references, self.metrics, self.clock,
            slots=SLOTS, settings=BreakerSettings(longest_pause=4),
        )  # fmt: skip
        self.gate.on_change = self.changed.append
        Workers(self.queue, self, self.metrics, self.gate).start()

    def clock(self) -> datetime:
        return datetime.fromtimestamp(asyncio.get_running_loop().time(), UTC)

    async def reconcile(self, key: Key) -> float | None:
        if key in self.gone or key in self.done:
            return None
        storage = key.name.partition("-")[0]
        try:
            async with self.gate.using(a_run(key, storage), interruptible=True):
                self.running[storage] += 1
                self.most[storage] = max(self.most[storage], self.running[storage])
                try:
                    await asyncio.sleep(self.seconds)
                finally:
                    self.running[storage] -= 1
                end = ENDS[self.script[key].pop(0)] if self.script.get(key) else None
                if end is not None:
                    raise end
        except StoreDownError as error:
            self.refused[key] = error
            raise
        except (UserError, NoAnswerError, PlatformError):
            return 2.0
        self.done.append(key)
        return None

    async def give_up(self, key: Key, error: Exception) -> None:
        raise AssertionError(f"{key}: {error}")


def a_run(key: Key, storage: str) -> Any:
    run = make_run(storage=storage)
    return run.model_copy(update={"metadata": run.metadata.model_copy(update=key._asdict())})


def keys(count: int, storage: str = "main", namespace: str = "team") -> list[Key]:
    return [Key(namespace, f"{storage}-{number}") for number in range(count)]


def test_no_more_run_at_a_time_than_a_storage_has_slots_and_they_come_in_their_order() -> None:
    async def scene() -> None:
        at = Scene()
        at.start()
        for key in keys(10):
            at.queue.add(key)
        await asyncio.sleep(20)
        assert at.done == keys(10)
        assert at.most["main"] == SLOTS
        assert (at.gate._states, at.gate._reservations) == ({}, {})

    virtualtime.run(scene())


def test_a_storage_that_is_slow_takes_nothing_from_another_one_of_its_namespace() -> None:
    async def scene() -> None:
        at = Scene(seconds=100.0)
        at.start(workers=2)
        for key in keys(10):
            at.queue.add(key)
        await asyncio.sleep(1)
        at.seconds = 0.5
        at.queue.add(Key("team", "other-1"))
        await asyncio.sleep(1)
        assert at.done == [Key("team", "other-1")]

    virtualtime.run(scene())


def test_failures_in_a_row_close_the_gate_and_all_who_wait_hear_since_when() -> None:
    async def scene() -> None:
        at = Scene(script={key: ["no answer"] * 99 for key in keys(9)})
        at.start()
        for key in keys(9):
            at.queue.add(key)
        await asyncio.sleep(1.5)
        assert at.changed == [Key("team", "main")]
        assert set(at.refused) == set(keys(9)[3:])
        told = str(at.refused[keys(9)[8]])
        assert told.startswith("Storage `main` has not responded since 1970-01-01T00:00:01Z (operation timed out).")
        assert 'unresponsive{namespace="team",storage="main"} 1.0' in at.metrics.render().decode()
        await asyncio.sleep(60)
        assert at.most["main"] == SLOTS
        at.script.clear()
        await asyncio.sleep(20)
        assert sorted(at.done) == keys(9)
        assert at.changed == [Key("team", "main")] * 2
        assert "unresponsive{" not in at.metrics.render().decode()
        assert at.gate._states == {}

    virtualtime.run(scene())


@pytest.mark.parametrize("end", ["user error", "busy", "API server"])
def test_a_store_that_answers_stays_open_whatever_its_answers_are(end: str) -> None:
    async def scene() -> None:
        at = Scene(script={key: [end] * 5 for key in keys(9)})
        at.start()
        for key in keys(9):
            at.queue.add(key)
        await asyncio.sleep(60)
        assert (sorted(at.done), at.refused) == (keys(9), {})

    virtualtime.run(scene())


def test_a_storage_that_is_edited_or_deleted_begins_anew_and_those_who_waited_are_looked_at() -> None:
    async def scene() -> None:
        at = Scene(script={key: ["no answer"] * 3 for key in keys(6)})
        at.start()
        for key in keys(6):
            at.queue.add(key)
        await asyncio.sleep(1.5)
        at.script.clear()
        at.gate.forget(Key("team", "main"), but=StoreId("team", "main", "uid", 1))
        assert at.gate.is_down(StoreId("team", "main", "uid", 1))
        at.gate.forget(Key("team", "main"))
        assert "unresponsive{" not in at.metrics.render().decode()
        await asyncio.sleep(1.1)
        assert len(at.done) == SLOTS, "they need not wait for their own time"
        assert set(at.done) < set(keys(6)[2:])

    virtualtime.run(scene())


def test_an_operation_whose_run_is_gone_is_given_up_and_its_slot_is_the_next_ones() -> None:
    async def scene() -> None:
        at = Scene(seconds=1000.0)
        at.start()
        for key in keys(4):
            at.queue.add(key)
        await asyncio.sleep(1)
        at.gone.add(keys(4)[1])
        at.queue.add(keys(4)[1])  # no cache knows the run any more
        at.seconds = 1.0
        await asyncio.sleep(1.5)
        assert at.done == [keys(4)[3]]
        assert at.running["main"] == SLOTS - 1

    virtualtime.run(scene())


def test_an_operation_for_no_run_is_refused_like_the_others_and_may_be_the_probe() -> None:
    async def scene() -> None:
        at = Scene()
        at.start()
        store = StoreId("team", "main", "uid", 1)
        for _ in range(3):
            with suppress(NoAnswerError):
                async with at.gate.asking(store):
                    raise ENDS["no answer"] or AssertionError
        with pytest.raises(StoreDownError):
            async with at.gate.asking(store):
                pass
        await asyncio.sleep(1)
        async with at.gate.asking(store):
            assert at.gate.is_down(store)
        assert not at.gate.is_down(store)
        assert at.gate._states == {}

    virtualtime.run(scene())


@settings(max_examples=60, deadline=None)
@given(
    script=st.dictionaries(
        st.builds(
            Key, st.sampled_from(["a", "b"]), st.builds("{}-{}".format, st.sampled_from("xy"), st.integers(0, 9))
        ),
        st.lists(st.sampled_from(list(ENDS)), max_size=6),
        min_size=1,
    ),
    news=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 99), st.booleans()), max_size=12),
)
def test_whatever_happened_before_each_key_gets_through_once_its_store_answers(
    script: dict[Key, list[str]], news: list[tuple[int, int, bool]]
) -> None:
    """Also when there is news of runs at any time, and some of them are gone by then."""

    async def scene() -> None:
        at = Scene(script={key: list(ends) for key, ends in script.items()})
        at.start()
        for key in script:
            at.queue.add(key)
        for moment, which, is_gone in sorted(news):
            await asyncio.sleep(max(moment - asyncio.get_running_loop().time(), 0))
            key = sorted(script)[which % len(script)]
            if is_gone:
                at.gone.add(key)
            at.queue.add(key)
        await asyncio.sleep(600)
        assert set(script) - at.gone <= set(at.done)
        assert len(at.done) == len(set(at.done)), "one got through twice"
        assert max(at.most.values(), default=0) <= 2 * SLOTS, "two namespaces have a Storage of each name"
        assert (at.gate._reservations, at.gate.waiting, at.queue.idle) == ({}, 0, True)

    virtualtime.run(scene())
