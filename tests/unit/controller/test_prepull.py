"""Images are brought to nodes by DaemonSets, on the fake API server. The DaemonSet controller is played by the test."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.controller.images.resolving import ImageSettings
from componentrun.controller.metrics import Metrics
from componentrun.controller.prepull.prepulls import PrePulls
from componentrun.controller.storages.references import References
from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.watching.events import take_in
from componentrun.controller.work.queue import WorkQueue
from componentrun.core.images.prepull import PrePullSettings, image_of
from componentrun.core.lease.shard import Shard
from componentrun.process.kubernetes.errors import ForbiddenError, QuotaExceededError, UnavailableError
from componentrun.registry.client import RegistryClient
from tests.unit.controller.fakebuilds import make_images
from tests.unit.controller.fakekube import NAMESPACE, FakeKube, Writes
from tests.unit.registry.fakeregistry import FakeRegistry, image_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

APP = Key(NAMESPACE, "app")
SETTINGS = PrePullSettings(True, "system", "agents:1")


class World:
    """A cluster with one operator."""

    def __init__(self, registry: FakeRegistry, client: RegistryClient) -> None:
        self.registry = registry
        self.now = datetime(2026, 12, 1, tzinfo=UTC)
        self.kube = FakeKube(Writes())
        self._client = client
        self.kube.put("namespaces", {"metadata": {"name": "system"}})
        self.kube.listener = self._heard
        self.start()

    def start(self, settings: PrePullSettings = SETTINGS, shard: Shard | None = None) -> None:
        """A new operator, which lists what there is."""
        self.caches = Caches(shard=shard or Shard())
        self.queue: WorkQueue[Key] = WorkQueue()
        images = make_images(self.kube, self.caches, self._client, ImageSettings(), self.clock)
        self.pulls = PrePulls(
            self.kube, self.caches, References(self.kube, self.caches), images, settings, Metrics(), self.clock
        )
        for watch in self.pulls._watches:
            watch.begin_at("1", set())
        for (plural, _, _), obj in list(self.kube.objects.items()):
            self._heard("ADDED", plural, obj)
        self.pulls.activate(True)

    def clock(self) -> datetime:
        return self.now

    def _heard(self, kind: str, plural: str, obj: dict[str, Any]) -> None:
        obj = copy.deepcopy(obj)
        seen, is_gone = self.pulls.seen, kind == "DELETED"
        if plural == "daemonsets":
            seen.lost_daemon_set(Key.of(obj), obj["metadata"]["uid"]) if is_gone else seen.saw_daemon_set(obj)
        elif plural == "pods":
            pytest.fail("the watch of runs' pods sees a pod that keeps an image")
        elif plural in {"components", "clustercomponents"}:
            take_in(self.caches, self.queue, plural, kind, obj)

    def put(self, *channels: dict[str, Any], plural: str = "components", name: str = "app", **spec: Any) -> None:
        body = {"image": f"{self.registry.host}/team/app", "channels": list(channels), **spec}
        self.kube.put(plural, {"metadata": {"name": name}, "spec": body})

    async def reconcile(self, key: Key = APP) -> bool:
        return await self.pulls.reconcile(key)

    def status(self, plural: str = "components", key: Key = APP) -> dict[str, Any]:
        return dict(self.kube.objects[plural, key.namespace, key.name].get("status") or {})

    def reason(self, plural: str = "components", key: Key = APP) -> str | None:
        conditions = self.status(plural, key).get("conditions") or ()
        return next((item["reason"] for item in conditions if item["type"] == "PrePulled"), None)

    def message(self) -> str:
        return next(item["message"] for item in self.status()["conditions"] if item["type"] == "PrePulled")

    def daemon_sets(self) -> list[dict[str, Any]]:
        return self.kube.of("daemonsets")

    def image(self) -> str:
        (found,) = self.daemon_sets()
        return image_of(found["spec"]["template"]["spec"])

    def scheduled(self, desired: int) -> None:
        """The DaemonSet controller has seen the DaemonSet."""
        (found,) = self.daemon_sets()
        status = {"observedGeneration": found["metadata"]["generation"], "desiredNumberScheduled": desired}
        self.kube.change("daemonsets", found["metadata"]["name"], {"status": status})

    def pod(self, node: str, *, ready: bool = True) -> None:
        """A pod of the DaemonSet on this node."""
        (found,) = self.daemon_sets()
        template = copy.deepcopy(found["spec"]["template"])
        template["metadata"] |= {"name": f"p-{node}"}
        template["spec"]["nodeName"] = node
        status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
        self.kube.put("pods", template)
        self.kube.change("pods", f"p-{node}", {"status": status})
        # The fake sends the events of runs' pods only.
        self.pulls.seen.saw_pod(copy.deepcopy(self.kube.objects["pods", NAMESPACE, f"p-{node}"]))


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as fake:
        yield fake


@pytest.fixture
async def world(registry: FakeRegistry) -> AsyncIterator[World]:
    async with RegistryClient(registry.settings) as client:
        yield World(registry, client)


RELEASE = {"name": "release", "tag": "1.0", "prePull": True}


async def test_a_channel_that_no_run_has_used_is_resolved_and_brought(world: World) -> None:
    digest = world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    assert await world.reconcile()
    assert world.image() == f"{world.registry.host}/team/app@{digest}"
    assert world.reason() == "Pulling"
    world.scheduled(1)
    world.pod("n1")
    await world.reconcile()
    assert world.reason() == "Ready", world.message()
    (channel,) = world.status()["channels"]
    assert (channel["digest"], channel["tag"]) == (digest, "1.0")
    assert channel["prePull"] == {"digest": digest, "desired": 1, "ready": 1, "notReady": []}


async def test_its_network_policy_belongs_to_it(world: World) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    await world.reconcile()
    (policy,) = world.kube.of("networkpolicies")
    assert policy["metadata"]["ownerReferences"][0]["uid"] == world.daemon_sets()[0]["metadata"]["uid"]


async def test_nothing_is_asked_or_written_if_nothing_is_new(world: World) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE, {"name": "master", "tag": "1.0", "prePull": True})
    for _ in range(2):
        await world.reconcile()
    world.registry.log.clear()
    writes = world.kube.writes.count
    await world.reconcile()
    assert (world.kube.writes.count, world.registry.log) == (writes, [])


async def test_a_new_operator_applies_once_and_changes_nothing(world: World) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    await world.reconcile()
    version = world.daemon_sets()[0]["metadata"]["resourceVersion"]
    world.start()
    await world.reconcile()
    await world.reconcile()
    assert world.daemon_sets()[0]["metadata"]["resourceVersion"] == version


async def test_a_promoted_digest_changes_the_daemon_set(world: World) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    await world.reconcile()
    second = world.registry.push("2.0", image_manifest("two"))
    channel = {"name": "release", "digest": second, "prePull": True}
    world.kube.change("components", "app", {"spec": {"channels": [channel]}})
    await world.reconcile()
    assert world.image().endswith(second)
    assert world.status()["channels"][0]["prePull"]["digest"] == second


async def test_each_run_channels_keep_what_a_run_has_found(world: World) -> None:
    first = world.registry.push("main", image_manifest("one"))
    world.put({"name": "master", "tag": "main", "prePull": True})
    await world.reconcile()
    world.registry.push("main", image_manifest("two"))
    world.registry.log.clear()
    await world.reconcile()
    assert world.image().endswith(first)
    assert world.registry.log == []


@pytest.mark.parametrize("channels", [[], [{"name": "release", "tag": "1.0"}], [RELEASE | {"name": "other"}]])
async def test_what_no_channel_wants_is_deleted(world: World, channels: list[dict[str, Any]]) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    await world.reconcile()
    old = world.daemon_sets()[0]["metadata"]["name"]
    world.kube.change("components", "app", {"spec": {"channels": channels}})
    await world.reconcile()
    assert old not in [item["metadata"]["name"] for item in world.daemon_sets()]
    assert world.kube.of("networkpolicies") == [] or channels
    assert (world.reason() is None) == all("prePull" not in channel for channel in channels)


async def test_nothing_is_deleted_on_an_old_view_of_the_component(world: World) -> None:
    """The cache has a version without prePull; the API server has a later one."""
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    await world.reconcile()
    world.kube.change("components", "app", {"spec": {"channels": []}})
    world.kube.listener = None
    world.kube.change("components", "app", {"spec": {"channels": [RELEASE]}})
    await world.reconcile()
    assert len(world.daemon_sets()) == 1


async def test_a_deleted_component_is_left_to_the_garbage_collector(world: World) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    await world.reconcile()
    world.kube.remove("components", *APP)
    assert await world.reconcile()
    assert world.daemon_sets() == []


async def test_a_tag_that_does_not_exist_is_told_and_tried_again(world: World) -> None:
    world.put(RELEASE)
    assert not await world.reconcile()
    assert world.reason() == "NotResolved"
    assert world.daemon_sets() == []
    world.registry.push("1.0", image_manifest("one"))
    assert await world.reconcile()
    assert world.reason() == "Pulling"


async def test_what_was_brought_stays_while_its_successor_can_not_be_resolved(world: World) -> None:
    digest = world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    await world.reconcile()
    world.kube.change("components", "app", {"spec": {"channels": [RELEASE | {"tag": "9"}]}})
    assert not await world.reconcile()
    assert world.image().endswith(digest)
    assert world.reason() == "NotResolved"
    assert world.status()["channels"][0]["prePull"]["digest"] == digest


@pytest.mark.parametrize("error", [QuotaExceededError("exceeded quota: x", 403), ForbiddenError("not allowed", 403)])
async def test_a_refused_daemon_set_is_told_and_tried_again(world: World, error: ForbiddenError) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    world.kube.refusals["patch", "daemonsets"] = [error]
    assert not await world.reconcile()
    assert world.reason() == "Refused"
    assert error.summary in world.message()
    assert await world.reconcile()
    assert world.reason() == "Pulling"


async def test_refused_pods_are_found_out_by_a_dry_run(world: World) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    await world.reconcile()
    world.scheduled(1)
    refusal = QuotaExceededError("exceeded quota: none", 403)
    world.kube.refusals["create", "pods"] = [refusal]
    await world.reconcile()
    assert world.reason() == "Pulling", "the DaemonSet controller may not have come to it yet"
    world.now += timedelta(seconds=4)
    assert await world.reconcile()
    assert world.reason() == "Refused"
    assert "exceeded quota: none" in world.message()
    await world.reconcile()
    assert world.reason() == "Pulling"
    assert world.kube.of("pods") == [], "a dry run creates nothing"


async def test_an_api_server_that_is_away_is_no_verdict(world: World) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    world.kube.refusals["patch", "daemonsets"] = [UnavailableError("away")]
    with pytest.raises(UnavailableError):
        await world.reconcile()
    assert world.reason() is None


async def test_a_daemon_set_that_somebody_edits_is_mended_at_most_once_a_minute(world: World) -> None:
    digest = world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    await world.reconcile()
    (found,) = world.daemon_sets()
    edit = {"spec": {"template": {"spec": {"volumes": [{"name": "image", "image": {"reference": "evil"}}]}}}}
    world.kube.change("daemonsets", found["metadata"]["name"], edit)
    await world.reconcile()
    assert world.image() == "evil"
    world.now += timedelta(minutes=1)
    await world.reconcile()
    assert world.image().endswith(digest)


async def test_a_cluster_component_gets_its_daemon_set_in_the_operators_namespace(world: World) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE, plural="clustercomponents")
    await world.reconcile(Key("", "app"))
    assert [key[1] for key in world.kube.objects if key[0] == "daemonsets"] == ["system"]
    assert world.reason("clustercomponents", Key("", "app")) == "Pulling"


@pytest.mark.parametrize(("number", "made"), [(0, 1), (1, 0)])
async def test_one_shard_alone_brings_the_images_of_cluster_components(world: World, number: int, made: int) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.start(shard=Shard(number, 2))
    world.put(RELEASE, plural="clustercomponents")
    await world.reconcile(Key("", "app"))
    assert sum(key[0] == "daemonsets" for key in world.kube.objects) == made


async def test_an_operator_that_is_not_enabled_says_so_and_creates_nothing(world: World) -> None:
    world.start(replace(SETTINGS, is_enabled=False))
    world.put(RELEASE)
    await world.reconcile()
    assert world.reason() == "Disabled"
    assert world.daemon_sets() == []
    assert world.registry.log == []


async def test_a_standby_does_nothing(world: World) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    world.pulls.activate(False)
    await world.reconcile()
    assert world.kube.writes.count == 0


async def test_nothing_is_done_before_the_watches_have_listed_everything(world: World) -> None:
    world.registry.push("1.0", image_manifest("one"))
    world.put(RELEASE)
    world.pulls._watches[0].synced = False
    await world.reconcile()
    assert world.kube.writes.count == 0


async def test_a_component_that_wants_nothing_is_not_queued(world: World) -> None:
    world.put({"name": "release", "tag": "1.0"})
    assert len(world.pulls._queue) == 0
    world.put(RELEASE, name="other")
    assert len(world.pulls._queue) == 1


async def test_the_default_storage_gives_pull_secrets_to_the_pods(world: World) -> None:
    world.registry.push("1.0", image_manifest("one"))
    spec = {
        "endpoint": "https://s3.example.com",
        "bucket": "lake",
        "default": True,
        "imagePullSecrets": [{"name": "shared"}],
    }
    world.kube.put("storages", {"metadata": {"name": "main"}, "spec": spec})
    world.put(RELEASE, imagePullSecrets=[{"name": "own"}])
    await world.reconcile()
    pod = world.daemon_sets()[0]["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "own"}, {"name": "shared"}]
