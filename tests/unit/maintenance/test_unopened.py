"""A Storage that is not opened may be of the same place as others: then nobody knows how long events are kept there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from componentrun.errors import PlatformError
from componentrun.maintenance import app, places
from componentrun.maintenance.settings import Settings
from componentrun.process.kubernetes.errors import ForbiddenError
from tests.unit.maintenance.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from componentrun.maintenance.places import Place
    from componentrun.process.kubernetes.client import Page
    from componentrun.process.kubernetes.resources import Resource
    from componentrun.storage.store.connection import Store
    from componentrun.storage.store.settings import StoreSettings


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def _without_secret(spec: dict[str, Any]) -> None:
    spec["credentials"] = {"secretName": "not-there"}


def _malformed(spec: dict[str, Any]) -> None:
    spec["prefix"] = 7


def _without_bucket(spec: dict[str, Any]) -> None:
    del spec["bucket"]


def _nothing(_spec: dict[str, Any]) -> None:
    pass


async def left_behind(world: World, bucket: str, broken: Callable[[dict[str, Any]], None]) -> set[str]:
    """Runs whose events a round left in bucket-a, where a Storage of `bucket` keeps longer and can't be opened."""
    world.storage("short", "bucket-a", "10d")
    world.storage("long", bucket, "365d")
    broken(world.kube.server.get("storages", "team", "long")["spec"])
    await world.said("bucket-a", "r20", "x", 20)
    with pytest.raises(PlatformError, match="1 steps"):
        await app.maintain(Settings())
    return await world.left("bucket-a")


@pytest.mark.parametrize("broken", [_without_secret, _malformed, _without_bucket])
async def test_where_a_storage_of_the_place_is_not_opened_no_event_goes(
    world: World, broken: Callable[[dict[str, Any]], None]
) -> None:
    assert await left_behind(world, "bucket-a", broken) == {"r20"}


async def test_a_storage_elsewhere_that_is_not_opened_keeps_no_events(world: World) -> None:
    assert await left_behind(world, "bucket-b", _without_secret) == set()


@pytest.mark.parametrize(("prefix", "left"), [("team-b/", set()), ("/", {"r20"}), (None, {"r20"})])
async def test_a_storage_of_another_prefix_that_is_not_opened_keeps_no_events(
    world: World, prefix: str | None, left: set[str]
) -> None:
    def broken(spec: dict[str, Any]) -> None:
        _without_secret(spec)
        spec["prefix"] = prefix

    assert await left_behind(world, "bucket-a", broken) == left


async def test_a_namespace_that_is_gone_keeps_nobody_from_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.storage("short", "bucket-a", "10d")
    await world.said("bucket-a", "r20", "x", 20)
    maintained: list[str] = []

    async def pages(resource: Resource, namespace: str | None, labels: str = "") -> AsyncIterator[Page]:
        if namespace == "gone":
            raise ForbiddenError("storages is forbidden", 403)
        async for page in type(world.kube).pages(world.kube, resource, namespace, labels):
            yield page

    async def sweep_store(place: Place, _settings: object) -> int:
        maintained.append(place.title)
        return 0

    monkeypatch.setattr(world.kube, "pages", pages)
    monkeypatch.setattr(app, "sweep_store", sweep_store)
    with pytest.raises(PlatformError, match="1 steps"):
        await app.maintain(Settings(namespaces=("gone", "team")))
    assert maintained == ["team/short"]
    assert await world.left("bucket-a") == {"r20"}  # a Storage over there may have kept them for longer


async def test_a_storage_that_fails_as_nobody_foresaw_keeps_nobody_from_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = places.open_store

    def panics(settings: StoreSettings) -> Store:
        if settings.name == "long":
            raise RuntimeError("a panic")
        return opened(settings)

    monkeypatch.setattr(places, "open_store", panics)
    assert await left_behind(world, "bucket-b", _nothing) == set()


async def test_a_storage_whose_endpoint_is_no_url_keeps_nobody_from_the_others(world: World) -> None:
    assert await left_behind(world, "bucket-b", lambda spec: spec.update(endpoint="http://[store")) == set()
