"""The background checks of pinned tags, with a registry on a real socket and the fake API server."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import web

from componentrun.controller.components.checks import ComponentChecks
from componentrun.controller.images.resolving import ImageSettings
from componentrun.controller.images.tagchecks import TagChecks
from componentrun.controller.storages.references import References
from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.watching.events import take_in
from componentrun.controller.work.queue import WorkQueue
from componentrun.core.lease.shard import Shard
from componentrun.errors import UserError
from componentrun.registry.client import RegistryClient
from componentrun.registry.errors import ImageError, RegistryAwayError
from tests.unit.controller.fakekube import NAMESPACE, FakeKube, Writes
from tests.unit.controller.fakes import InProcessChecker
from tests.unit.registry.fakeregistry import FakeRegistry, image_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.web import Request, StreamResponse

    from componentrun.controller.schemacheck.checker import SchemaChecker

NOW = datetime(2026, 7, 1, tzinfo=UTC)
APP = Key(NAMESPACE, "app")


class Checked:
    """A fake API server, the caches, the checks of Components, and those of tags."""

    def __init__(self, registry: FakeRegistry, client: RegistryClient, shard: Shard | None = None) -> None:
        self.registry = registry
        self.kube = FakeKube(Writes())
        self.caches = Caches(shard=shard or Shard())
        self.queue: WorkQueue[Key] = WorkQueue()
        references = References(self.kube, self.caches)
        checker = cast("SchemaChecker", InProcessChecker())
        self.components = ComponentChecks(self.kube, self.caches, references, checker, lambda: NOW)
        self.looked: list[Key] = []
        self.settings = ImageSettings()
        self.references = references
        self.client = client
        self.tags = self.new_tags()
        self.kube.listener = self._heard
        self.components.activate(True)

    def new_tags(self, settings: ImageSettings | None = None) -> TagChecks:
        made = TagChecks(
            self.kube, self.caches, self.references, self.client, settings or ImageSettings(), self.looked.append
        )
        made.activate(True)
        return made

    def _heard(self, kind: str, plural: str, obj: dict[str, Any]) -> None:
        if plural != "secrets":  # which are not watched
            take_in(self.caches, self.queue, plural, kind, obj)

    def put(self, digest: str, plural: str = "components", name: str = "app", **spec: Any) -> None:
        """A Component whose channel `release` was resolved to a digest."""
        image = f"{self.registry.host}/team/app"
        time = "2026-06-01T00:00:00Z"
        entry = {"digest": digest, "image": image, "tag": "1.0", "time": time}
        channel = {"name": "release", "digest": digest, "tag": "1.0", "since": time, "history": [entry]}
        self.kube.put(
            plural,
            {
                "metadata": {"name": name, "generation": 1},
                "spec": {"image": image, "channels": [{"name": "release", "tag": "1.0"}], **spec},
                "status": {"observedGeneration": 1, "channels": [channel]},
            },
        )

    async def check(self, key: Key = APP, away: set[tuple[str, str]] | None = None) -> dict[str, Any] | None:
        """Check tags and then Components. Returns the condition TagMoved."""
        await self.tags.check(key, set() if away is None else away)
        for looked in self.looked:
            await self.components.check(looked)
        self.looked.clear()
        plural = "components" if key.namespace else "clustercomponents"
        status = self.kube.objects[plural, key.namespace, key.name]["status"]
        return next((item for item in status.get("conditions") or () if item["type"] == "TagMoved"), None)


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as fake:
        yield fake


@pytest.fixture
async def world(registry: FakeRegistry) -> AsyncIterator[Checked]:
    async with RegistryClient(registry.settings) as client:
        yield Checked(registry, client)


async def test_a_moved_tag_is_a_condition_and_goes_when_it_is_back(world: Checked, registry: FakeRegistry) -> None:
    first = registry.push("1.0", image_manifest("one"))
    world.put(first)
    assert await world.check() is None
    assert world.kube.writes.count == 0
    second = registry.push("1.0", image_manifest("two"))
    condition = await world.check()
    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("True", "TagMoved")
    assert "`release`" in condition["message"]
    assert first in condition["message"]
    assert second in condition["message"]
    channel = world.kube.objects["components", NAMESPACE, "app"]["status"]["channels"][0]
    assert (channel["digest"], channel["movedTo"]) == (first, second)
    assert channel["history"][0]["digest"] == first
    count = world.kube.writes.count
    await world.check()
    assert world.kube.writes.count == count
    registry.push("1.0", image_manifest("one"))
    assert await world.check() is None


async def test_a_digest_in_the_spec_ends_the_condition_without_the_registry(
    world: Checked, registry: FakeRegistry
) -> None:
    world.put(registry.push("1.0", image_manifest("one")))
    second = registry.push("1.0", image_manifest("two"))
    assert await world.check() is not None
    requests = len(registry.log)
    changed = {"spec": {"channels": [{"name": "release", "digest": second}]}, "metadata": {"generation": 2}}
    world.kube.change("components", "app", changed)
    await world.components.check(APP)
    assert await world.check() is None
    assert len(registry.log) == requests


async def test_a_lookup_is_one_request_for_each_tag(world: Checked, registry: FakeRegistry) -> None:
    world.put(registry.push("1.0", image_manifest("one")))
    await world.check()
    assert [(method, path) for method, path, _ in registry.log] == [("HEAD", "/v2/team/app/manifests/1.0")]


async def test_a_registry_that_refuses_more_requests_is_left_alone_for_the_round(
    world: Checked, registry: FakeRegistry
) -> None:
    async def answer(_: Request) -> StreamResponse:
        return web.Response(status=429)

    world.put(registry.push("1.0", image_manifest("one")))
    registry.answer = answer
    away = set[tuple[str, str]]()
    with pytest.raises(RegistryAwayError):
        await world.check(away=away)
    assert away == {(NAMESPACE, registry.host)}
    requests = len(registry.log)
    assert await world.check(away=away) is None
    assert len(registry.log) == requests
    assert world.kube.writes.count == 0


async def test_a_tag_that_is_gone_keeps_what_was_known(world: Checked, registry: FakeRegistry) -> None:
    world.put(registry.push("1.0", image_manifest("one")))
    registry.push("1.0", image_manifest("two"))
    before = await world.check()
    del registry.manifests["team/app"]["1.0"]
    assert await world.check() == before
    registry.push("1.0", image_manifest("two"))
    assert await world.check() == before


async def test_a_tag_that_is_gone_does_not_hide_another_one_that_moved(world: Checked, registry: FakeRegistry) -> None:
    gone, first = registry.push("0.9", image_manifest("zero")), registry.push("1.0", image_manifest("one"))
    world.put(first)
    channels = [{"name": "old", "tag": "0.9"}, {"name": "release", "tag": "1.0"}]
    for raw in (world.kube.objects["components", NAMESPACE, "app"],):
        raw["spec"]["channels"] = channels
        entry = raw["status"]["channels"][0]["history"][0]
        old = entry | {"digest": gone, "tag": "0.9"}
        raw["status"]["channels"].append({"name": "old", "digest": gone, "tag": "0.9", "history": [old]})
        world.kube.put("components", raw)
    del registry.manifests["team/app"]["0.9"]
    second = registry.push("1.0", image_manifest("two"))
    condition = await world.check()
    assert condition is not None
    assert second in condition["message"]


def add_login(world: Checked, registry: FakeRegistry) -> None:
    """Have the registry want a login, and put it into the Secret `pull`."""
    text = json.dumps({"auths": {registry.host: {"username": "ann", "password": "right"}}})
    secret = {
        "metadata": {"name": "pull"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(text.encode()).decode()},
    }
    world.kube.put("secrets", secret)
    registry.users = {"ann": "right"}


@pytest.mark.parametrize("plural", ["components", "clustercomponents"])
async def test_the_pull_secrets_of_a_component_are_used_but_those_of_no_namespace(
    world: Checked, registry: FakeRegistry, plural: str
) -> None:
    add_login(world, registry)
    first = registry.push("1.0", image_manifest("one"))
    registry.push("1.0", image_manifest("two"))
    world.put(first, plural, imagePullSecrets=[{"name": "pull"}])
    if plural == "components":
        assert await world.check() is not None
        return
    with pytest.raises(ImageError, match="wants a login"):
        await world.check(Key("", "app"))


@pytest.mark.parametrize("is_default", [True, False])
async def test_the_pull_secrets_of_the_default_storage_are_used(
    world: Checked, registry: FakeRegistry, *, is_default: bool
) -> None:
    add_login(world, registry)
    first = registry.push("1.0", image_manifest("one"))
    registry.push("1.0", image_manifest("two"))
    spec = {"bucket": "bucket", "default": is_default, "imagePullSecrets": [{"name": "pull"}]}
    other = {"bucket": "bucket", "default": False}
    for name, content in (("lake", spec), ("other", other)):
        world.kube.put("storages", {"metadata": {"name": name}, "spec": content})
    world.put(first)
    if is_default:
        assert await world.check() is not None
        return
    with pytest.raises(ImageError, match="wants a login"):
        await world.check()


async def test_a_registry_that_is_not_allowed_is_not_asked(world: Checked, registry: FakeRegistry) -> None:
    world.put(registry.push("1.0", image_manifest("one")))
    world.tags = world.new_tags(ImageSettings(allowed=("registry.example.com",)))
    with pytest.raises(UserError):
        await world.check()
    assert registry.log == []


async def test_a_standby_and_another_shard_ask_nothing(registry: FakeRegistry) -> None:
    async with RegistryClient(registry.settings) as client:
        world = Checked(registry, client, Shard(1, 2))
        world.put(registry.push("1.0", image_manifest("one")), "clustercomponents")
        assert world.tags._keys() == []
        world = Checked(registry, client)
        world.put(registry.push("1.0", image_manifest("one")))
        assert world.tags._keys() == [APP]
        world.tags.activate(False)
        assert world.tags._keys() == []
        assert await world.check() is None
    assert registry.log == []


async def test_rounds_go_on_after_errors_and_check_every_component(world: Checked, registry: FakeRegistry) -> None:
    world.put(registry.push("1.0", image_manifest("one")), image=f"{registry.host}/team/other")
    first = registry.push("1.0", image_manifest("one"))
    registry.push("1.0", image_manifest("two"))
    world.put(first, name="b")
    async with asyncio.timeout(20):
        task = asyncio.create_task(world.tags.run(0.2))
        while not world.looked:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
    assert world.looked == [Key(NAMESPACE, "b")]


async def test_an_interval_of_zero_turns_it_off(world: Checked) -> None:
    async with asyncio.timeout(10):
        await world.tags.run(0)
