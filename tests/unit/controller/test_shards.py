"""An operator that owns some of the namespaces caches and reconciles nothing of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from componentrun.api import names
from componentrun.controller.app import Operator
from componentrun.controller.metrics import Metrics
from componentrun.controller.settings import Settings
from componentrun.controller.storages.loaderclient import LoaderClient
from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.watching.podwatch import make_pod_watches
from componentrun.controller.watching.resync import Resync
from componentrun.controller.work.queue import WorkQueue
from componentrun.core.lease.shard import Shard
from componentrun.registry.client import RegistryClient
from componentrun.registry.settings import RegistrySettings
from tests.unit.controller.fakekube import FakeKube, Writes
from tests.unit.controller.process import Api

if TYPE_CHECKING:
    from componentrun.process.kubernetes.client import Kube

OWN, OTHER = "team-a", "team-b"
"""Of shards 0 and 1 of two."""


def run_in(namespace: str) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": "load", "uid": f"run of {namespace}"}, "spec": {}}


def pod_in(namespace: str) -> dict[str, Any]:
    labels = {
        names.RUN_LABEL: "load",
        names.RUN_UID_LABEL: f"run of {namespace}",
        names.ATTEMPT_LABEL: "1",
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
    }
    metadata = {"namespace": namespace, "name": "load-1", "uid": f"pod of {namespace}", "labels": labels}
    return {"metadata": metadata, "spec": {}, "status": {"phase": "Running"}}


async def queued(queue: WorkQueue[Key]) -> list[Key]:
    keys = [await queue.get() for _ in range(len(queue))]
    for key in keys:
        queue.done(key)
    return keys


async def test_listings_leave_out_what_others_own() -> None:
    kube, caches, queue = FakeKube(Writes()), Caches(shard=Shard(0, 2)), WorkQueue[Key]()
    for namespace in (OWN, OTHER):
        kube.put("componentruns", run_in(namespace))
        kube.put("pods", pod_in(namespace))
        for plural in ("components", "storages"):
            kube.put(plural, {"metadata": {"namespace": namespace, "name": "a"}, "spec": {}})
    resync = Resync(cast("Kube", kube), caches, queue, Metrics(), [])
    for first in (True, False):
        await resync.everything(first=first)
        assert set(await queued(queue)) == {Key(OWN, "load")}
    assert caches.runs.all_keys() == caches.pods.all_keys() == [Key(OWN, "load")]
    assert caches.components.all_keys() == caches.storages.all_keys() == [Key(OWN, "a")]


async def test_events_of_pods_that_others_own_are_dropped() -> None:
    caches, queue = Caches(shard=Shard(0, 2)), WorkQueue[Key]()
    (watch,) = make_pod_watches(cast("Kube", FakeKube(Writes())), caches, queue, Metrics(), [])
    for namespace in (OWN, OTHER):
        pod = pod_in(namespace)
        pod["metadata"]["resourceVersion"] = "7"
        watch._target.changed(pod)
        watch._target.deleted(pod["metadata"]["uid"], pod)
    assert await queued(queue) == [Key(OWN, "load")]
    assert caches.pods.all_keys() == [Key(OWN, "load")]


def shard_of_two(**settings: Any) -> Operator:
    given = Settings(
        agent_image="agent:1", lease="system/operator", operator_shards=2, operator_shard=0, workers=2, **settings
    )
    return Operator(
        given, cast("Kube", Api()), Metrics(given.shard), LoaderClient(None), RegistryClient(RegistrySettings())
    )


async def test_shards_share_the_limit_of_unread_pods_of_a_node() -> None:
    assert shard_of_two(unread_pods=110)._unread._limit == 55


async def test_only_an_active_operator_counts_runs() -> None:
    """Runs of all shards are added up, and a standby knows the same runs as its leader."""
    operator = shard_of_two()
    operator._caches.runs.seen({**run_in(OWN), "status": {"phase": "Running"}})
    count = 'componentrun_runs{phase="Running"} '
    assert f"{count}0.0" in operator._render().decode()
    operator._act(True)
    assert f"{count}1.0" in operator._render().decode()


async def test_metrics_name_the_shard_and_the_number_of_shards() -> None:
    rendered = shard_of_two()._render().decode()
    assert 'leader_election_master_status{name="componentrun-0-of-2"} 0.0' in rendered
    assert "componentrun_operator_shards 2.0" in rendered
