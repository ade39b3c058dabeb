"""Runs that wait share the reads of their Component and Storage, and none gets one that is older than itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.controller.storages.references import References, new_enough_for
from componentrun.controller.storages.sharedreads import SharedReads
from componentrun.controller.watching.caches import Caches
from componentrun.errors import UserError
from componentrun.process.kubernetes.clock import ApiClock
from componentrun.process.kubernetes.errors import UnavailableError
from tests.unit.controller.fakekube import NAMESPACE, FakeKube, Writes
from tests.unit.core.make import make_run

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRun

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Reads:
    """Reads of one thing, at a time that the test sets; each gives its own number."""

    def __init__(self) -> None:
        self.now = NOW
        self.count = 0
        self.fails = False
        self.shared: SharedReads[int] = SharedReads(lambda: self.now)

    async def load(self) -> int:
        self.count += 1
        number = self.count
        await asyncio.sleep(0)
        if self.fails:
            raise UnavailableError("away")
        return number

    async def read(self, as_of: datetime | None, key: str = "main") -> int:
        return await self.shared.read(key, self.load, as_of)


class TestAReadThatIsShared:
    async def test_is_at_most_a_second_old(self) -> None:
        reads = Reads()
        assert [await reads.read(NOW), await reads.read(NOW), await reads.read(NOW, "other")] == [1, 1, 2]
        reads.now += timedelta(seconds=1.1)
        assert await reads.read(NOW) == 3

    async def test_is_not_older_than_the_run_that_it_is_for(self) -> None:
        reads = Reads()
        assert await reads.read(NOW) == 1
        reads.now += timedelta(seconds=0.5)
        assert await reads.read(NOW + timedelta(seconds=0.2)) == 2
        assert await reads.read(NOW + timedelta(seconds=0.2)) == 2
        assert await reads.read(None) == 3

    async def test_is_not_shared_after_the_clock_was_set_back(self) -> None:
        reads = Reads()
        assert await reads.read(NOW) == 1
        reads.now -= timedelta(seconds=30)
        assert await reads.read(NOW - timedelta(seconds=40)) == 2

    async def test_may_still_be_on_its_way_and_one_who_is_cancelled_cancels_it_for_nobody(self) -> None:
        reads = Reads()
        first, second = asyncio.create_task(reads.read(NOW)), asyncio.create_task(reads.read(NOW))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == 1

    async def test_that_failed_is_repeated(self) -> None:
        reads = Reads()
        reads.fails = True
        with pytest.raises(UnavailableError):
            await reads.read(NOW)
        reads.fails = False
        assert await reads.read(NOW) == 2


def a_run(created: datetime | None, generation: int = 1) -> ComponentRun:
    run = make_run()
    metadata = run.metadata.model_copy(update={"creation_timestamp": created, "generation": generation})
    return run.model_copy(update={"metadata": metadata})


def test_what_a_run_may_share_began_when_it_was_surely_created() -> None:
    assert new_enough_for(a_run(NOW)) == NOW + timedelta(seconds=6), "by a clock that is ahead by less than 5 s, too"
    assert new_enough_for(a_run(None)) is None
    assert new_enough_for(a_run(NOW, generation=2)) is None, "it may be released right after an edit"


class Clusters(FakeKube):
    """A cluster that counts the reads of each kind."""

    def __init__(self) -> None:
        super().__init__(Writes())
        self.reads: Counter[str] = Counter()
        self.create_both()

    def create_both(self) -> None:
        """Create a Component and a Storage."""
        spec = {"bucket": "bucket", "endpoint": "http://store.test"}
        self.put("storages", {"metadata": {"name": "main", "namespace": NAMESPACE}, "spec": spec})
        self.put("components", {"metadata": {"name": "cleaner", "namespace": NAMESPACE}, "spec": {"image": "a:1"}})

    async def request(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        self.reads[path.partition(f"namespaces/{NAMESPACE}/")[2].partition("/")[0]] += 1
        return await super().request(method, path, **rest)


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> Clusters:
    monkeypatch.setattr(ApiClock, "now", lambda _: NOW)
    return Clusters()


async def test_a_hundred_runs_that_have_waited_read_each_once(kube: Clusters) -> None:
    references = References(kube, Caches())
    for _ in range(100):
        assert await references.component(NAMESPACE, "cleaner", anew=True, as_of=NOW)
        assert await references.storage(NAMESPACE, "main", anew=True, as_of=NOW)
    assert (kube.reads["components"], kube.reads["storages"]) == (1, 1)


async def test_a_run_that_was_created_just_now_has_its_own(kube: Clusters) -> None:
    references = References(kube, Caches())
    for _ in range(3):
        await references.component(NAMESPACE, "cleaner", anew=True, as_of=NOW + timedelta(seconds=2))
    assert kube.reads["components"] == 3


async def test_what_was_created_after_a_shared_read_is_found(kube: Clusters) -> None:
    references = References(kube, Caches())
    for plural, name in (("components", "cleaner"), ("storages", "main")):
        kube.remove(plural, NAMESPACE, name)
    assert await references.component(NAMESPACE, "cleaner", anew=True, as_of=NOW) is None
    with pytest.raises(UserError, match="no Storage `main`"):
        await references.storage(NAMESPACE, "main", anew=True, as_of=NOW)
    kube.create_both()
    assert await references.component(NAMESPACE, "cleaner", anew=True, as_of=NOW)
    assert await references.storage(NAMESPACE, "main", anew=True, as_of=NOW)
