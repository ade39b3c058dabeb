"""When a Storage's daemon checks it, and that one whose store hangs delays nobody else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from componentrun.controller.watching.caches import Key
from componentrun.controller.work.fairslots import FairSlots
from componentrun.errors import PlatformError, Reason
from tests.unit.controller import virtualtime
from tests.unit.controller.onestorage import NOW, SEEN, World

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = Key("team", "main")


class Timed(World):
    """The clock is the loop's."""

    @property
    def now(self) -> Any:
        return NOW + timedelta(seconds=asyncio.get_running_loop().time())

    @now.setter
    def now(self, _: Any) -> None:
        """It goes on by itself."""

    def daemon(self) -> asyncio.Task[None]:
        """See the Storage for the first time, as kopf does."""
        self.storages.seen(self.storage)
        metadata = self.storage["metadata"]
        return asyncio.create_task(self.checks.run(Key("team", metadata["name"]), metadata["uid"]))

    def edit(self, **metadata: Any) -> None:
        super().edit(**metadata)
        self.storages.seen(self.storage)


def test_a_store_is_checked_every_hour() -> None:
    async def scene() -> None:
        world = Timed()
        daemon = world.daemon()
        await asyncio.sleep(3500)
        assert world.asked == 1
        await asyncio.sleep(200)
        assert world.asked == 2
        daemon.cancel()

    virtualtime.run(scene())


def test_a_store_that_refuses_is_asked_again_after_pauses_that_double_and_at_once_after_an_edit() -> None:
    async def scene() -> None:
        world = Timed()
        world.answer = PlatformError("wrong keys", Reason.STORAGE_ACCESS_DENIED)
        daemon = world.daemon()
        await asyncio.sleep(31)
        assert world.asked == 5, "at 0, 2, 6, 14 and 30 s"
        await asyncio.sleep(600)
        assert world.asked == 15, "each minute then"
        world.answer = SEEN
        world.edit(generation=2)
        await asyncio.sleep(1)
        assert (world.asked, world.conditions()["Ready"]) == (16, "Scoped")
        daemon.cancel()

    virtualtime.run(scene())


def test_a_daemon_ends_with_its_storage_also_if_another_one_has_its_name() -> None:
    async def scene() -> None:
        world = Timed()
        daemon = world.daemon()
        await asyncio.sleep(1)
        world.edit(uid="another")
        another = world.daemon()
        await asyncio.sleep(1)
        assert (daemon.done(), another.done()) == (True, False)
        world.storages.gone(KEY, "another")
        await asyncio.sleep(1)
        assert another.done()
        assert not world.checks._wakes

    virtualtime.run(scene())


def test_a_daemon_goes_on_if_its_storage_comes_into_the_cache_later() -> None:
    async def scene() -> None:
        world = Timed()
        daemon = asyncio.create_task(world.checks.run(KEY, world.storage["metadata"]["uid"]))
        await asyncio.sleep(10)
        assert (daemon.done(), world.asked) == (False, 0)
        world.storages.seen(world.storage)
        await asyncio.sleep(1)
        assert world.asked == 1
        daemon.cancel()

    virtualtime.run(scene())


def test_an_operator_that_begins_to_act_checks_what_it_knows() -> None:
    async def scene() -> None:
        world = Timed()
        world.checks.activate(False)
        daemon = world.daemon()
        await asyncio.sleep(10)
        assert world.asked == 0
        world.checks.activate(True)
        await asyncio.sleep(1)
        assert world.asked == 1
        daemon.cancel()

    virtualtime.run(scene())


def test_a_storage_whose_catalog_hangs_delays_no_other_one() -> None:
    async def scene() -> None:
        world = Timed()
        world.storage["spec"]["catalog"] = {"uri": "https://catalog.test", "warehouse": "lake"}
        world.hangs = asyncio.Event()
        daemons = [world.daemon()]
        await asyncio.sleep(1)
        assert world.tried == 1
        metadata = {**world.storage["metadata"], "name": "other", "uid": "other"}
        world.storage = {"metadata": metadata, "spec": {"bucket": "bucket"}}
        daemons.append(world.daemon())
        await asyncio.sleep(1)
        assert world.conditions()["Ready"] == "Scoped"
        for daemon in daemons:
            daemon.cancel()

    virtualtime.run(scene())


def test_checks_at_the_same_time_are_limited_and_half_of_them_are_left_to_other_namespaces() -> None:
    async def scene() -> None:
        slots, holding, most = FairSlots(4), [], 0

        async def check(namespace: str, lasts: Callable[[], Any]) -> None:
            nonlocal most
            async with slots.hold(namespace):
                holding.append(namespace)
                most = max(most, len(holding))
                try:
                    await lasts()
                finally:
                    holding.remove(namespace)

        hanging = [asyncio.create_task(check("hung", asyncio.Event().wait)) for _ in range(10)]
        await asyncio.sleep(1)
        assert holding == ["hung", "hung"]
        for _ in range(3):
            await asyncio.wait_for(check("team", lambda: asyncio.sleep(1)), 2)
        assert most == 3
        for task in hanging:
            task.cancel()
        await asyncio.wait(hanging)
        await asyncio.wait_for(check("hung", lambda: asyncio.sleep(1)), 2)
        assert holding == []

    virtualtime.run(scene())
