"""Events that come late, or never: what was known of runs, pods, Components and Storages is not so any more."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import kopf
import pytest

from componentrun.controller.app import Operator
from componentrun.controller.metrics import Metrics
from componentrun.controller.settings import Settings
from componentrun.controller.storages.loaderclient import LoaderClient
from componentrun.controller.watching.caches import Key
from componentrun.registry.client import RegistryClient
from componentrun.registry.settings import RegistrySettings
from tests.unit.controller.fakekube import NAMESPACE, Crash
from tests.unit.controller.fakes import FakeOperator
from tests.unit.controller.onestorage import World as StorageWorld
from tests.unit.controller.process import Api, Watches, until
from tests.unit.controller.watched import CONFIGURATION, Watched


async def test_the_claim_of_a_run_that_was_deleted_is_not_that_of_a_later_one_of_its_name() -> None:
    world = Watched()
    operator = FakeOperator(world)
    await operator.start()
    kube = world.kube
    patch = kube.patch

    async def deleted_before_its_status(*arguments: Any) -> Any:
        kube.patch = patch
        # As the API server does it: the run goes at once, its pods when the garbage collector comes.
        obj = kube.objects.pop(("componentruns", NAMESPACE, "a"))
        kube._tell("DELETED", "componentruns", obj)
        return await patch(*arguments)

    kube.patch = deleted_before_its_status
    world.add_run("a", configuration=CONFIGURATION)
    await operator.work()
    assert world.pods_made() == ["a-1"]
    operator.queue.add(Key(NAMESPACE, "a"))  # it is looked at again at once
    await operator.work()
    assert not world.kube.of("pods")
    world.add_run("b", configuration=CONFIGURATION)
    await operator.work()
    assert world.pods_made() == ["a-1", "b-1"]
    world.add_run("a", configuration=CONFIGURATION)
    await operator.work()
    assert world.pods_made() == ["a-1", "b-1"], "two runs of one group at once"


async def test_a_run_that_is_deleted_while_its_storage_is_looked_up_is_not_started() -> None:
    world = Watched()
    operator = FakeOperator(world)
    await operator.start()
    kube, pages = world.kube, world.kube.pages

    async def slow(resource: Any, *arguments: Any) -> Any:
        if ("componentruns", NAMESPACE, "a") in kube.objects:
            kube.remove("componentruns", NAMESPACE, "a")
            operator.catch_up()
        async for page in pages(resource, *arguments):
            yield page

    kube.pages = slow
    world.add_run("a", configuration=CONFIGURATION)
    await operator.work()
    assert world.pods_made() == []
    assert not operator.queues._namespaces


async def test_a_run_that_is_replaced_by_another_of_its_name_leaves_no_claim() -> None:
    """`kubectl replace --force` while the first one is being started; its DELETED event comes late."""
    world = Watched()
    operator = FakeOperator(world)
    await operator.start()
    world.add_run("b", configuration=CONFIGURATION, suspend=True)
    await operator.work()
    kube, patch = world.kube, world.kube.patch

    async def replaced_before_its_status(*arguments: Any) -> Any:
        kube.patch = patch
        with operator.unheard("componentruns", "pods"):
            kube.objects.pop(("componentruns", NAMESPACE, "a"))
            pod = kube.objects.pop(("pods", NAMESPACE, "a-1"))
        operator._hear("DELETED", "pods", pod)
        with operator.unheard("componentruns"):
            kube.change("componentruns", "b", {"spec": {"suspend": None}})
            world.add_run("a", configuration=CONFIGURATION)
        operator._hear("MODIFIED", "componentruns", kube.objects["componentruns", NAMESPACE, "b"])
        return await patch(*arguments)

    kube.patch = replaced_before_its_status
    world.add_run("a", configuration=CONFIGURATION)
    await operator.work()
    assert world.pods_made()[:2] == ["a-1", "b-1"]  # b was created first


@pytest.fixture
def watches(monkeypatch: pytest.MonkeyPatch) -> Watches:
    made = Watches()
    monkeypatch.setattr(kopf, "spawn_tasks", made.spawn_tasks)
    return made


@pytest.mark.usefixtures("watches")
@pytest.mark.parametrize("standby", [False, True])
async def test_a_new_leader_ends_pods_whose_run_was_deleted_before(*, standby: bool) -> None:
    api = Api()
    api.server.add_namespace("system")
    api.put(
        "pods",
        {
            "metadata": {
                "name": "gone-1",
                "labels": {
                    "app.kubernetes.io/managed-by": "componentrun",
                    "componentrun.dev/run": "gone",
                    "componentrun.dev/run-uid": "uid-of-gone",
                    "componentrun.dev/attempt": "1",
                },
            },
            "spec": {},
            "status": {"phase": "Running"},
        },
    )
    lease = "system/operator" if standby else None
    settings = Settings(agent_image="agent:1", host="127.0.0.1", port=0, workers=2, lease=lease, lease_seconds=6)
    operator = Operator(settings, cast("Any", api), Metrics(), LoaderClient(None), RegistryClient(RegistrySettings()))
    running = asyncio.create_task(operator.run())
    try:
        await until(lambda: operator._reconciler.active)
        await until(lambda: not api.of("pods"))
    finally:
        operator._stopping.set()
        await asyncio.wait_for(running, 10)


async def test_what_was_found_of_a_storage_is_not_said_of_another_of_its_name() -> None:
    world = StorageWorld()
    find = world.find

    async def replaced_meanwhile(*arguments: Any) -> Any:
        found = await find(*arguments)
        if world.asked == 1:
            world.storage = {
                "metadata": {**world.storage["metadata"], "uid": "another", "resourceVersion": "50"},
                "spec": {"bucket": "another"},
            }
            world.storages.seen(world.storage)
        return found

    world.scopes._find = cast("Any", replaced_meanwhile)
    world.storages.seen(world.storage)
    await world.settle()
    assert world.asked == 2


async def test_a_component_that_was_changed_before_its_run_was_made_holds_for_it() -> None:
    world = Watched()
    operator = FakeOperator(world)
    world.kube.put("components", {"metadata": {"name": "cleaner"}, "spec": {"image": "cleaner", "tag": "1.0"}})
    await operator.start()
    with operator.unheard("components"):
        world.kube.change("components", "cleaner", {"spec": {"tag": "2.0"}})
        world.add_run("a", image=None, component="cleaner")
        await operator.work()
    assert world.status("a")["image"] == "cleaner:2.0"


async def test_a_pod_that_was_found_as_it_is_now_is_looked_at_though_its_event_is_no_news() -> None:
    world = Watched()
    first = FakeOperator(world)
    await first.start()
    world.kube.refusals["patch", "componentruns"] = [cast("Any", Crash("before the status"))]
    world.add_run("a")
    with pytest.raises(Crash):
        await first.work()
    second = FakeOperator(world)
    await second.start()
    evicted = {"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}}
    with second.unheard("pods", "componentruns"):  # answers come before events
        world.kube.change("pods", "a-1", evicted)
        key = await second.queue.get()
        wake = await second.reconciler.reconcile(key)
        second.queue.done(key)
    for plural, name in (("componentruns", "a"), ("pods", "a-1")):
        second._hear("MODIFIED", plural, world.kube.objects[plural, NAMESPACE, name])
    assert len(second.queue) or (wake is not None and wake < 1), wake


async def test_the_answer_to_a_write_does_not_bring_a_deleted_run_back() -> None:
    """MODIFIED and DELETED are read from the watch before the answer to the write that they are about."""
    world = Watched()
    operator = FakeOperator(world)
    await operator.start()
    kube, patch = world.kube, world.kube.patch

    async def deleted_behind(*arguments: Any) -> Any:
        answer = await patch(*arguments)
        if ("componentruns", NAMESPACE, "a") in kube.objects:
            kube.remove("componentruns", NAMESPACE, "a")
        return answer

    kube.patch = deleted_behind
    world.add_run("a", suspend=True)
    await operator.work()
    assert operator.caches.runs.all_keys() == []


@pytest.mark.parametrize("plural", ["componentruns", "pods"])
async def test_a_listing_that_was_under_way_does_not_bring_back_what_is_gone(plural: str) -> None:
    world = Watched()
    world.max_running = 1
    operator = FakeOperator(world)
    await operator.live(2)
    world.add_run("a")
    await operator.work()
    kube, pages = world.kube, world.kube.pages
    told = {"deletionTimestamp": "2026-01-01T00:00:03Z", "deletionGracePeriodSeconds": 1}
    kube.change("pods", "a-1", {"metadata": told})

    async def slow(resource: Any, *arguments: Any) -> Any:
        async for page in pages(resource, *arguments):
            if resource.plural == plural and ("componentruns", NAMESPACE, "a") in kube.objects:
                kube.remove("componentruns", NAMESPACE, "a")  # and its pods
                await operator.work()
            yield page

    kube.pages = slow
    await operator.resync.everything()
    await operator.work()
    assert operator.caches.runs.all_keys() == []
    assert len(operator.caches.pods) == 0
    world.add_run("b")
    await operator.work()
    assert world.pods_made() == ["a-1", "b-1"]


async def test_a_later_run_of_the_same_name_does_not_start_beside_the_earlier_ones_pod() -> None:
    """`kubectl delete` and `create` of a run in its second attempt: its pod takes its time to end."""
    world = Watched()
    world.failing_inputs = 1
    operator = FakeOperator(world)
    world.add_run("a", configuration=CONFIGURATION, retry={"backoff": {"initial": "1s", "max": "1s"}})
    while world.phase("a") != "Running":
        await operator.live(1)
    assert world.pods_made() == ["a-1", "a-2"]
    kube = world.kube
    world.add_run("b", configuration=CONFIGURATION)
    await operator.work()
    told = {"deletionTimestamp": "2026-01-01T00:10:00Z", "deletionGracePeriodSeconds": 30}
    kube.change("pods", "a-2", {"metadata": {**told, "ownerReferences": None}})
    kube.remove("componentruns", NAMESPACE, "a")
    await operator.work()
    world.add_run("a", configuration=CONFIGURATION)
    await operator.work()
    assert world.pods_made() == ["a-1", "a-2"], "two components of one group at once"
    kube.remove("pods", NAMESPACE, "a-2")
    await operator.work()
    assert world.pods_made() == ["a-1", "a-2", "b-1"]


async def test_the_pod_of_a_run_that_was_replaced_at_once_is_told_to_end() -> None:
    """`kubectl replace --force`: DELETED and ADDED come before a worker looks."""
    world = Watched()
    operator = FakeOperator(world)
    world.add_run("a")
    await operator.live(2)
    kube = world.kube
    (pod,) = kube.of("pods")
    # The garbage collector takes its time, or is told not to.
    gone = kube.objects.pop(("componentruns", NAMESPACE, "a"))
    kube._tell("DELETED", "componentruns", gone)
    world.add_run("a")
    await operator.work()
    assert "delete pods" in world.writes.log
    await operator.live(5)
    assert pod["metadata"]["uid"] not in [item["metadata"]["uid"] for item in kube.of("pods")]


async def test_a_later_run_of_the_same_name_gets_no_pod_while_the_earlier_ones_secret_is_there() -> None:
    """Its kubelet would mount it, and the pod do what the earlier run was to do. The garbage collector may be late."""
    world = Watched()
    operator = FakeOperator(world)
    world.add_run("a")
    await operator.live(2)
    kube = world.kube
    secret = kube.objects.pop(("secrets", NAMESPACE, "a-1"))
    kube.remove("componentruns", NAMESPACE, "a")
    await operator.work()
    assert kube.of("pods") == []
    kube.objects["secrets", NAMESPACE, "a-1"] = secret
    world.add_run("a")
    await operator.work()
    assert kube.of("pods") == []
    assert "belongs to an earlier run of the same name" in world.status("a")["message"]
    kube.remove("secrets", NAMESPACE, "a-1")
    await operator.live(10)
    assert world.phase("a") == "Succeeded"
