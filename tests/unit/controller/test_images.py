"""Images of Components with channels: what is asked and written, and what a pod names. The registry is real HTTP."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from componentrun.api.component import Component
from componentrun.controller.images import awayhosts
from componentrun.controller.images.resolving import ImageSettings
from componentrun.controller.watching.caches import Caches
from componentrun.core.pod.settings import PodSettings
from componentrun.errors import TransientError
from componentrun.registry.client import RegistryClient
from componentrun.registry.errors import RegistryAwayError
from tests.unit.controller.fakebuilds import make_images
from tests.unit.controller.fakekube import NAMESPACE, Crash
from tests.unit.controller.fakes import FakeOperator, World
from tests.unit.registry.fakeregistry import IMAGE, INDEX, FakeRegistry, image_manifest, index_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.web import Request, StreamResponse

RELEASE = {"name": "release", "tag": "1.0"}
MASTER = {"name": "master", "tag": "main"}


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as fake:
        yield fake


@pytest.fixture
async def world(registry: FakeRegistry) -> AsyncIterator[World]:
    made = World()
    await made.registry.close()
    async with RegistryClient(registry.settings) as client:
        made.registry = client
        yield made


def add_component(world: World, registry: FakeRegistry, *channels: dict[str, Any], **spec: Any) -> None:
    body = {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "app"},
        "spec": {"image": f"{registry.host}/team/app", "channels": list(channels), **spec},
    }
    world.kube.put("components", body)


def add_secret(world: World, registry: FakeRegistry, name: str, user: str, password: str) -> None:
    text = json.dumps({"auths": {registry.host: {"username": user, "password": password}}})
    world.kube.put(
        "secrets",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": base64.b64encode(text.encode()).decode()},
        },
    )


def component(world: World) -> dict[str, Any]:
    return world.kube.objects["components", NAMESPACE, "app"]


def add_run(world: World, name: str = "load", **spec: Any) -> None:
    world.add_run(name, image=None, component="app", **spec)
    run = world.kube.objects["componentruns", NAMESPACE, name]
    run["spec"].pop("image")


def image(world: World, name: str = "load-1") -> str:
    pod = world.kube.objects["pods", NAMESPACE, name]
    return str(pod["spec"]["containers"][0]["image"])


def heads(registry: FakeRegistry) -> int:
    return sum(method == "HEAD" for method, _, _ in registry.log)


async def test_a_pod_names_a_digest_and_the_status_says_how_it_was_found(world: World, registry: FakeRegistry) -> None:
    digest = registry.push("1.0", image_manifest("one"))
    add_component(world, registry, RELEASE)
    add_run(world)
    await FakeOperator(world).live(0)
    reference = f"{registry.host}/team/app@{digest}"
    assert image(world) == reference
    status = world.run()["status"]
    assert status["image"] == reference
    assert status["imageResolution"] == {
        "channel": "release", "tag": "1.0", "source": "Registry", "time": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    channel = component(world)["status"]["channels"][0]
    assert (channel["name"], channel["digest"], channel["tag"]) == ("release", digest, "1.0")


async def test_a_pinned_tag_that_moves_changes_nothing_and_is_not_asked_for(
    world: World, registry: FakeRegistry
) -> None:
    first = registry.push("1.0", image_manifest("one"))
    add_component(world, registry, RELEASE)
    operator = FakeOperator(world)
    add_run(world, "a")
    await operator.live(0)
    version = component(world)["metadata"]["resourceVersion"]
    registry.push("1.0", image_manifest("two"))
    registry.log.clear()
    add_run(world, "b")
    await operator.live(0)
    assert image(world, "b-1").endswith(first)
    assert world.run("b")["status"]["imageResolution"]["source"] == "Pinned"
    assert registry.log == []
    assert component(world)["metadata"]["resourceVersion"] == version


async def test_master_follows_each_push_and_writes_what_is_new(world: World, registry: FakeRegistry) -> None:
    add_component(world, registry, MASTER)
    operator = FakeOperator(world)
    for number, text in enumerate(("one", "two", "two")):
        digest = registry.push("main", image_manifest(text))
        registry.log.clear()
        add_run(world, f"r{number}")
        await operator.live(2)
        assert image_of_status(world, f"r{number}").endswith(digest)
        assert heads(registry) == 1
        assert len(registry.log) == (1 if number == 2 else 2)  # a new digest is read once
    assert [entry["digest"] for entry in component(world)["status"]["channels"][0]["history"]] == [
        registry.push("main", image_manifest("two")),
        registry.push("main", image_manifest("one")),
    ]


def image_of_status(world: World, name: str) -> str:
    return str(world.run(name)["status"]["image"])


async def test_runs_that_begin_within_a_second_share_a_request(world: World, registry: FakeRegistry) -> None:
    registry.push("main", image_manifest("one"))
    add_component(world, registry, MASTER)
    for number in range(20):
        add_run(world, f"r{number}")
    await FakeOperator(world).live(0)
    assert len({image(world, f"r{number}-1") for number in range(20)}) == 1
    assert heads(registry) == 1


@pytest.mark.parametrize("channel", [RELEASE, MASTER], ids=["release", "master"])
@pytest.mark.parametrize("at", range(1, 9))
async def test_a_tag_that_moves_while_no_operator_works_leaves_pod_and_status_in_agreement(
    registry: FakeRegistry, channel: dict[str, Any], at: int
) -> None:
    """The operator is killed after each write of a start; then the tag moves, and another operator goes on."""
    tag = channel["tag"]
    first = registry.push(tag, image_manifest("one"))
    async with RegistryClient(registry.settings) as client:
        world = World()
        world.registry = client
        add_component(world, registry, channel)
        add_run(world)
        world.writes.crash_at = at
        with suppress(Crash, BaseExceptionGroup):
            await FakeOperator(world).live(0)
        world.writes.crash_at = None
        began_with = {pod["spec"]["containers"][0]["image"] for pod in world.kube.of("pods")}
        pinned = channel is RELEASE and "channels" in component(world).get("status", {})
        registry.push(tag, image_manifest("two"))
        world.now += timedelta(seconds=5)
        await FakeOperator(world).live(0)
    assert image(world) == image_of_status(world, "load")
    if pinned:
        assert image(world).endswith(first)
    assert began_with <= {image(world)}


async def test_another_attempt_keeps_the_digest_of_the_run(world: World, registry: FakeRegistry) -> None:
    first = registry.push("main", image_manifest("one"))
    add_component(world, registry, MASTER)
    world.failing_inputs = 1
    add_run(world)
    operator = FakeOperator(world)
    await operator.live(2)
    registry.push("main", image_manifest("two"))
    registry.log.clear()
    for _ in range(30):
        world.now += timedelta(seconds=5)
        await world.kubelet()
        await operator.work()
        if len(world.run()["status"]["attempts"]) == 2:
            break
    assert image(world, "load-2").endswith(first)
    assert registry.log == []


async def test_a_registry_that_is_away_is_waited_for_and_then_the_run_fails(world: World) -> None:
    async with FakeRegistry() as gone:
        pass
    async with RegistryClient(gone.settings) as client:
        world.registry = client
        add_component(world, gone, MASTER)
        add_run(world)
        operator = FakeOperator(world)
        await operator.live(3)
        assert world.phase() == "Queued"
        assert world.run()["status"]["reason"] == "RegistryUnavailable"
        await operator.live(30)
    status = world.run()["status"]
    assert (world.phase(), status["reason"]) == ("Failed", "RegistryUnavailable")
    assert gone.host in status["message"]


async def test_a_registry_that_comes_back_is_asked_again(world: World) -> None:
    fake = FakeRegistry()
    async with fake:
        digest = fake.push("main", image_manifest("one"))
    async with RegistryClient(fake.settings) as client:
        world.registry = client
        add_component(world, fake, MASTER)
        add_run(world)
        operator = FakeOperator(world)
        await operator.live(2)
        assert world.phase() == "Queued"
        async with fake:
            for _ in range(20):
                world.now += timedelta(seconds=1)
                await operator.work()
        assert image(world).endswith(digest)


async def test_the_last_digest_is_used_with_a_warning(world: World) -> None:
    async with FakeRegistry() as fake:
        digest = fake.push("main", image_manifest("one"))
        async with RegistryClient(fake.settings) as client:
            world.registry = client
            add_component(world, fake, MASTER | {"onFailure": "UseLast"})
            operator = FakeOperator(world)
            add_run(world, "a")
            await operator.live(0)
            await fake.__aexit__()
            add_run(world, "b")
            world.now += timedelta(seconds=5)
            await operator.work()
    assert image(world, "b-1").endswith(digest)
    status = world.run("b")["status"]
    assert status["imageResolution"]["source"] == "Last"
    assert any("the last digest is used" in warning for warning in status["warnings"])


async def test_a_limit_that_one_tenant_has_used_up_is_not_that_of_another(world: World, registry: FakeRegistry) -> None:
    """A registry counts requests by login."""

    async def answer(_: Request) -> StreamResponse:
        return web.json_response({}, status=429, headers={"Retry-After": "30"})

    registry.push("1.0", image_manifest("one"))
    registry.answer = answer
    async with RegistryClient(registry.settings) as client:
        images = make_images(world.kube, Caches(), client, ImageSettings(), lambda: world.now)
        here, there = (given_component(registry, namespace) for namespace in ("here", "there"))
        with pytest.raises(RegistryAwayError):
            await images.of_channel(here, "release", "here", ())
        registry.answer = None
        requests = len(registry.log)
        with pytest.raises(RegistryAwayError):
            await images.of_channel(here, "release", "here", ())
        assert len(registry.log) == requests
        with pytest.raises(TransientError, match="deleted just now"):  # it is resolved, and no object to write it to
            await images.of_channel(there, "release", "there", ())
        assert len(registry.log) > requests


def given_component(registry: FakeRegistry, namespace: str) -> Component:
    return Component.model_validate(
        {
            "metadata": {"name": "app", "namespace": namespace, "uid": namespace},
            "spec": {"image": f"{registry.host}/team/app", "channels": [RELEASE]},
        }
    )


async def test_a_registry_that_answers_page_by_page_does_not_hold_a_run(
    world: World, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request ends in time, and there is always one more."""
    monkeypatch.setattr(awayhosts, "_LONGEST_LOOKUP", 0.2)
    count = itertools.count()

    async def answer(request: Request) -> StreamResponse:
        await asyncio.sleep(0.01)
        following = f"<{request.path}?last={next(count)}>; rel=next"
        return web.json_response({"name": "team/app", "tags": [f"0.{next(count)}.0"]}, headers={"Link": following})

    registry.answer = answer
    add_component(world, registry, {"name": "release", "semver": "^1"})
    add_run(world)
    await FakeOperator(world).live(0)
    status = world.run()["status"]
    assert (status["phase"], status["reason"]) == ("Queued", "RegistryUnavailable")
    assert "looking up the image took longer than" in status["message"]


async def test_a_registry_that_does_not_respond_is_not_asked_for_each_run(world: World, registry: FakeRegistry) -> None:
    async def answer(_: Request) -> StreamResponse:
        return web.Response(status=503)

    registry.answer = answer
    add_component(world, registry, MASTER)
    operator = FakeOperator(world)
    for number in range(10):
        add_run(world, f"r{number}")
        await operator.live(0)
    assert len(registry.log) == 1


@pytest.mark.parametrize(
    ("secrets", "expected"),
    [
        ({}, "no pull secret has one"),
        ({"own": "wrong"}, "refuses the user name or password"),
        ({"own": "right"}, None),
        ({"own": "wrong", "shared": "right"}, None),
        ({"shared": "wrong", "default": "right"}, None),
        ({"default": "wrong"}, "from Secret `default`"),
        ({"agents": "right"}, None),
    ],
)
async def test_the_pull_secrets_of_run_component_and_storage_are_merged(
    world: World, registry: FakeRegistry, secrets: dict[str, str], expected: str | None
) -> None:
    registry.users = {"ann": "right"}
    registry.push("1.0", image_manifest("one"))
    for name, password in secrets.items():
        add_secret(world, registry, name, "ann", password)
    add_component(world, registry, RELEASE, imagePullSecrets=[{"name": "shared"}])
    world.storage = {"imagePullSecrets": [{"name": "default"}, {"name": "own"}]}
    world.pod_settings = PodSettings(agent_pull_secrets=("agents", "shared"))
    add_run(world, podTemplate={"imagePullSecrets": [{"name": "own"}]})
    await FakeOperator(world).live(0)
    if expected is None:
        pod = world.kube.objects["pods", NAMESPACE, "load-1"]
        names = [ref["name"] for ref in pod["spec"]["imagePullSecrets"]]
        assert names == ["own", "shared", "default", "agents"]
        return
    status = world.run()["status"]
    assert (world.phase(), status["reason"]) == ("Failed", "ImagePullFailed")
    assert expected in status["message"]
    assert "wrong" not in status["message"].replace("wrong password", "")
    assert world.kube.of("pods") == []


async def _too_many(_: Request) -> StreamResponse:
    return web.json_response({}, status=429, headers={"Retry-After": "30"})


CAUSES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no password": (
        {"password": None},
        "ImagePullFailed",
        "wants a login for `{repository}`, and no pull secret has one",
    ),
    "wrong password": (
        {"password": "guess"},
        "ImagePullFailed",
        "refuses the user name or password for `{repository}` from Secret `shared`",
    ),
    "no such tag": ({"tag": "2.0"}, "ImagePullFailed", "repository `{repository}` has no tag `2.0`"),
    "no such repository": ({"path": "team/none"}, "ImagePullFailed", "the registry has no repository `{repository}`"),
    "rate limit": (
        {"answer": _too_many},
        "RegistryUnavailable",
        "registry `{host}` refuses more requests for now (429); it asks to wait 30 s",
    ),
    "away": ({"host": "127.0.0.1:1"}, "RegistryUnavailable", "registry `{host}` does not respond: "),
    "wrong architecture": (
        {"content": index_manifest("linux/s390x")},
        "ImagePullFailed",
        "exists for linux/s390x, and the run needs amd64",
    ),
}


@pytest.mark.parametrize("by_token", [False, True], ids=["basic", "tokens"])
@pytest.mark.parametrize("name", CAUSES)
async def test_each_cause_is_found_before_a_pod_exists(
    world: World, registry: FakeRegistry, name: str, *, by_token: bool
) -> None:
    given, reason, expected = CAUSES[name]
    registry.users, registry.by_token = {"ann": "right"}, by_token
    content = given.get("content", image_manifest("one"))
    registry.push("1.0", content, media_type=INDEX if "content" in given else IMAGE)
    registry.answer = given.get("answer")
    host, password = given.get("host", registry.host), given.get("password", "right")
    repository = f"{host}/{given.get('path', 'team/app')}"
    if password is not None:
        add_secret(world, registry, "shared", "ann", password)
    world.images = ImageSettings(architectures=frozenset({"amd64"}))
    channel = {"name": "release", "tag": given.get("tag", "1.0")}
    add_component(world, registry, channel, image=repository, imagePullSecrets=[{"name": "shared"}])
    add_run(world)
    await FakeOperator(world).live(200)
    status = world.run()["status"]
    assert (world.phase(), status["reason"]) == ("Failed", reason)
    assert expected.format(host=host, repository=repository) in status["message"]
    assert "right" not in status["message"].replace("the right", "")
    assert "guess" not in status["message"]
    assert world.kube.of("pods") == []


async def test_an_image_from_elsewhere_is_not_allowed(world: World, registry: FakeRegistry) -> None:
    registry.push("1.0", image_manifest("one"))
    world.images = ImageSettings(allowed=("registry.example.com",))
    add_component(world, registry, RELEASE)
    add_run(world, "with-channels")
    world.add_run("plain", image=f"{registry.host}/team/app:1")
    world.add_run("allowed", image="registry.example.com/team/app:1")
    await FakeOperator(world).live(0)
    for name in ("with-channels", "plain"):
        assert world.run(name)["status"]["reason"] == "ImageNotAllowed"
    assert world.phase("allowed") == "Pending"
    assert registry.log == []


@pytest.mark.parametrize(("wanted", "is_refused"), [("amd64", True), ("arm64", False), (None, False)])
async def test_an_image_for_other_machines_is_refused(
    world: World, registry: FakeRegistry, wanted: str | None, is_refused: bool
) -> None:
    registry.push("1.0", index_manifest("linux/arm64", "unknown/unknown"), media_type=INDEX)
    add_component(world, registry, RELEASE)
    add_run(world, **({"podTemplate": {"nodeSelector": {"kubernetes.io/arch": wanted}}} if wanted else {}))
    await FakeOperator(world).live(0)
    if is_refused:
        assert "exists for linux/arm64, and the run needs amd64" in world.run()["status"]["message"]
    else:
        assert world.phase() == "Pending"


async def test_the_highest_version_of_a_range_is_used(world: World, registry: FakeRegistry) -> None:
    for version in ("1.4.0", "1.10.0", "2.0.0"):
        registry.push(version, image_manifest(version))
    add_component(world, registry, {"name": "stable", "semver": "^1.4"})
    add_run(world)
    await FakeOperator(world).live(0)
    assert world.run()["status"]["imageResolution"]["tag"] == "1.10.0"


async def test_a_range_without_a_version_says_so(world: World, registry: FakeRegistry) -> None:
    registry.push("2.0.0", image_manifest("two"))
    add_component(world, registry, {"name": "stable", "semver": "^1.4"})
    add_run(world)
    await FakeOperator(world).live(0)
    assert "none of the 1 tags" in world.run()["status"]["message"]


async def test_a_digest_in_the_spec_needs_no_registry(world: World, registry: FakeRegistry) -> None:
    digest = f"sha256:{7:064x}"
    add_component(world, registry, {"name": "release", "digest": digest})
    add_run(world)
    await FakeOperator(world).live(0)
    assert image(world).endswith(digest)
    assert registry.log == []
    assert component(world)["status"]["channels"][0]["digest"] == digest


async def test_a_pin_that_another_operator_wrote_meanwhile_wins(world: World, registry: FakeRegistry) -> None:
    """While the registry answers, another run pins the tag to what it pointed to before."""
    first = registry.push("1.0", image_manifest("one"))
    add_component(world, registry, RELEASE)
    add_run(world)
    operator = FakeOperator(world)
    pin = {"digest": first, "image": f"{registry.host}/team/app", "tag": "1.0", "time": "2026-01-01T00:00:00Z"}

    async def answer(request: Request) -> StreamResponse | None:
        if request.method == "HEAD":
            registry.push("1.0", image_manifest("two"))
            channels = [{"name": "release", "digest": first, "tag": "1.0", "history": [pin]}]
            world.kube.change("components", "app", {"status": {"channels": channels}})
        return None

    registry.answer = answer
    await operator.live(3)
    assert image(world).endswith(first)
    assert [entry["digest"] for entry in component(world)["status"]["channels"][0]["history"]] == [first]


async def test_a_channel_that_was_removed_leaves_the_status(world: World, registry: FakeRegistry) -> None:
    registry.push("1.0", image_manifest("one"))
    registry.push("main", image_manifest("two"))
    add_component(world, registry, RELEASE, MASTER)
    operator = FakeOperator(world)
    add_run(world, "a")
    add_run(world, "b", channel="master")
    await operator.live(0)
    assert [item["name"] for item in component(world)["status"]["channels"]] == ["release", "master"]
    world.kube.change("components", "app", {"spec": {"channels": [RELEASE]}})
    add_run(world, "c")
    world.now += timedelta(seconds=5)
    await operator.work()
    assert [item["name"] for item in component(world)["status"]["channels"]] == ["release"]


async def test_a_component_without_channels_costs_no_request(world: World, registry: FakeRegistry) -> None:
    add_component(world, registry, tag="1.0", imagePullSecrets=[{"name": "shared"}])
    add_run(world)
    await FakeOperator(world).live(0)
    assert image(world) == f"{registry.host}/team/app:1.0"
    assert registry.log == []
    assert "imageResolution" not in world.run()["status"]
    annotations = world.kube.objects["pods", NAMESPACE, "load-1"]["metadata"]["annotations"]
    assert not any("image" in key for key in annotations)


async def test_processors_do_not_escape_the_rules_for_images(world: World, registry: FakeRegistry) -> None:
    """With channels or without."""
    for name, spec in {
        "channelled": {"image": f"{registry.host}/team/p", "channels": [RELEASE]},
        "foreign": {"image": f"{registry.host}/team/p"},
        "signed": {"image": "registry.example.com/p", "verify": {"key": "-----BEGIN PUBLIC KEY-----" + "A" * 64}},
        "good": {"image": "registry.example.com/p", "tag": "1"},
    }.items():
        world.kube.put(
            "components",
            {
                "apiVersion": "componentrun.dev/v1alpha1",
                "kind": "Component",
                "metadata": {"name": name},
                "spec": {**spec, "type": "processor", "processor": {"positions": ["before", "after"]}},
            },
        )
        world.add_run(f"with-{name}", image="registry.example.com/app:1", processors={"before": [{"component": name}]})
    world.images = ImageSettings(allowed=("registry.example.com",))
    await FakeOperator(world).live(0)
    names = ("channelled", "foreign", "signed", "good")
    reasons = {name: world.run(f"with-{name}")["status"]["reason"] for name in names}
    assert reasons == {
        "channelled": "ImageNotAllowed", "foreign": "ImageNotAllowed", "signed": "InvalidSpec", "good": "Pending",
    }  # fmt: skip
    assert registry.log == []


async def test_the_default_channel_comes_first_in_the_status(world: World, registry: FakeRegistry) -> None:
    """The columns of `kubectl get components` show the first one."""
    registry.push("main", image_manifest("one"))
    registry.push("1.0", image_manifest("two"))
    add_component(world, registry, {"name": "beta", "tag": "main"}, RELEASE, MASTER)
    operator = FakeOperator(world)
    for name, channel in (("a", "master"), ("b", "beta"), ("c", "release")):
        add_run(world, name, channel=channel)
        await operator.live(0)
    channels = world.kube.objects["components", NAMESPACE, "app"]["status"]["channels"]
    assert [channel["name"] for channel in channels] == ["release", "beta", "master"]
