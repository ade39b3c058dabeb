"""Catalogs that give no answer: their runs wait and say so, nobody else's do, and all go on when it answers again."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from componentrun.controller.metrics import Metrics
from componentrun.controller.storages.cataloggate import CatalogDownError, CatalogGate
from componentrun.controller.storages.gate import StoreGate
from componentrun.controller.storages.identity import StoreId
from componentrun.controller.storages.loaderclient import CatalogAwayError, UnansweredCommitError
from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.work.queue import Backoff, WorkQueue
from componentrun.controller.work.workers import Workers
from componentrun.core.storages.breaker import BreakerSettings
from componentrun.errors import Reason, TransientError, UserError
from componentrun.process.fairqueue import Flow
from tests.unit.controller import virtualtime
from tests.unit.core.make import make_run

ANSWER_SECONDS = 20.0


@dataclass
class Scene:
    """Workers whose reconciler publishes each run in its Storage's catalog, through both gates."""

    away: dict[str, Exception | None] = field(default_factory=dict)
    """What asking the catalog of a Storage ends with; nothing: it answers."""
    generation: int = 1
    done: list[Key] = field(default_factory=list)
    files_only: set[Key] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    said: dict[Key, str] = field(default_factory=dict)

    def start(self) -> None:
        self.queue: WorkQueue[Key] = WorkQueue(
            backoff=Backoff(jitter=0), flow_of=lambda key: Flow(key.namespace), workers=4
        )
        self.stores = StoreGate(
            self.queue, Caches(), cast("Any", self), Metrics(), self.clock, slots=8, settings=BreakerSettings()
        )
        self.gate = CatalogGate(self.queue, self.clock, BreakerSettings(longest_pause=30))
        Workers(self.queue, self, cast("Any", self.stores._metrics), self.stores).start()

    def store_id(self, namespace: str, wanted: str | None) -> StoreId:
        return StoreId(namespace, wanted or "main", "uid", self.generation)

    def clock(self) -> datetime:
        return datetime.fromtimestamp(asyncio.get_running_loop().time(), UTC)

    def storage(self, key: Key) -> Any:
        document = {"metadata": {"namespace": key.namespace, "name": "main", "uid": key.namespace}}
        metadata = make_run().metadata.model_copy(update=document["metadata"] | {"generation": self.generation})
        return cast("Any", type("Storage", (), {"metadata": metadata})())

    async def reconcile(self, key: Key) -> float | None:
        if key in self.done:
            return None
        run = make_run(storage="main")
        run = run.model_copy(update={"metadata": run.metadata.model_copy(update=key._asdict())})
        try:
            async with self.stores.using(run):
                if key not in self.files_only:
                    async with self.gate.using(self.storage(key), key):
                        await self.ask(key.namespace)
        except TransientError as error:
            self.said[key] = error.message
            raise
        self.done.append(key)
        return None

    async def ask(self, namespace: str) -> None:
        self.asked[namespace] += 1
        error = self.away.get(namespace)
        await asyncio.sleep(ANSWER_SECONDS if error is not None else 0.1)
        if error is not None:
            raise error

    async def give_up(self, key: Key, error: Exception) -> None:
        raise AssertionError(f"{key}: {error}")


def keys(count: int, namespace: str) -> list[Key]:
    return [Key(namespace, f"run-{number}") for number in range(count)]


AWAY = CatalogAwayError("the catalog does not answer", Reason.STORAGE_UNAVAILABLE)
NO_WORD = UnansweredCommitError("the catalog did not say", Reason.STORAGE_UNAVAILABLE)


@pytest.mark.parametrize("error", [AWAY, NO_WORD], ids=["look", "commit"])
def test_a_catalog_that_hangs_is_asked_by_one_run_at_a_time_and_others_say_what_they_wait_for(error: Exception) -> None:
    async def main() -> None:
        scene = Scene(away={"hung": error})
        scene.start()
        for key in keys(30, "hung"):
            scene.queue.add(key)
        await asyncio.sleep(300)
        # The first ones that had a slot, and then a probe after each pause.
        assert scene.asked["hung"] <= 8 + 300 / ANSWER_SECONDS
        assert scene.done == []
        told = [text for text in scene.said.values() if "has given no answer since 1970-01-01" in text]
        assert len(told) > 20

    virtualtime.run(main())


def test_a_healthy_tenant_beside_it_and_runs_without_tables_go_on() -> None:
    async def main() -> None:
        scene = Scene(away={"hung": AWAY})
        scene.start()
        scene.files_only = {Key("hung", "files")}
        for key in keys(30, "hung"):
            scene.queue.add(key)
        await asyncio.sleep(60)
        for key in [*keys(10, "healthy"), Key("hung", "files")]:
            scene.queue.add(key)
        await asyncio.sleep(5)
        assert set(scene.done) == {*keys(10, "healthy"), Key("hung", "files")}

    virtualtime.run(main())


def test_all_runs_go_on_within_a_pause_once_the_catalog_answers() -> None:
    async def main() -> None:
        scene = Scene(away={"hung": AWAY})
        scene.start()
        for key in keys(30, "hung"):
            scene.queue.add(key)
        await asyncio.sleep(600)
        scene.away.clear()
        await asyncio.sleep(30 + ANSWER_SECONDS + 5)
        assert set(scene.done) == set(keys(30, "hung"))

    virtualtime.run(main())


def test_an_edited_storage_is_asked_at_once() -> None:
    async def main() -> None:
        scene = Scene(away={"hung": AWAY})
        scene.start()
        for key in keys(3, "hung"):
            scene.queue.add(key)
        await asyncio.sleep(100)
        scene.away.clear()
        scene.generation = 2
        scene.queue.add(Key("hung", "run-9"))
        await asyncio.sleep(1)
        # But for the one that asks for the earlier spec at this moment.
        assert len(scene.done) >= 3
        assert Key("hung", "run-9") in scene.done

    virtualtime.run(main())


@pytest.mark.parametrize(
    "error",
    [
        UserError("it does not fit", Reason.OUTPUT_INVALID),
        TransientError("HTTP 503", Reason.STORAGE_UNAVAILABLE),
        TransientError("no loader", Reason.LOADER_UNAVAILABLE),
    ],
)
def test_what_the_catalog_answers_opens_nothing(error: Exception) -> None:
    async def main() -> None:
        gate, scene = CatalogGate(cast("Any", None), lambda: datetime.now(UTC)), Scene()
        for _ in range(10):
            with pytest.raises(type(error)):
                async with gate.using(scene.storage(Key("a", "b")), Key("a", "b")):
                    raise error

    virtualtime.run(main())


def test_a_catalog_says_nothing_of_its_store() -> None:
    async def main() -> None:
        scene = Scene(away={"hung": AWAY})
        scene.start()
        for key in keys(10, "hung"):
            scene.queue.add(key)
        await asyncio.sleep(120)
        assert not scene.stores.is_down(scene.store_id("hung", "main"))
        with pytest.raises(CatalogDownError):
            async with scene.gate.using(scene.storage(Key("hung", "run-0")), Key("hung", "run-0")):
                raise AssertionError

    virtualtime.run(main())
