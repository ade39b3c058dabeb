"""What tests inject, as the operator's client sees it, over HTTP and in process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.process.kubernetes import exchange
from componentrun.process.kubernetes.access.access import Access
from componentrun.process.kubernetes.client import Kube
from componentrun.process.kubernetes.errors import (
    AlreadyExistsError,
    ConflictError,
    GoneError,
    NotFoundError,
    UnavailableError,
)
from componentrun.process.kubernetes.resources import PODS, RUNS, SECRETS
from tests.fakekube.faults import Fault
from tests.fakekube.http import HttpServer
from tests.fakekube.inprocess import InProcessKube
from tests.fakekube.server import ApiServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Observer:
    def request_done(self, method: str, code: str, host: str) -> None:
        """Nothing is counted."""


@pytest.fixture
def server() -> ApiServer:
    return ApiServer("team")


@pytest.fixture(params=["HTTP", "in process"])
async def kube(
    request: pytest.FixtureRequest, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Kube]:
    monkeypatch.setattr(exchange, "_FIRST_PAUSE", 0.001)
    if request.param == "in process":
        yield InProcessKube(server)
        return
    async with HttpServer(server) as http, Kube(Access(http.url), Observer()) as made:
        yield made


def a_run(name: str) -> dict[str, Any]:
    return {"apiVersion": "componentrun.dev/v1alpha1", "kind": "ComponentRun", "metadata": {"name": name}, "spec": {}}


async def test_what_the_client_creates_is_stored(kube: Kube, server: ApiServer) -> None:
    created = await kube.create(RUNS, "team", a_run("x"))
    assert created == server.get("componentruns", "team", "x")
    assert await kube.get(RUNS, "team", "x") == created
    with pytest.raises(AlreadyExistsError):
        await kube.create(RUNS, "team", a_run("x"))
    await kube.delete(RUNS, "team", "x", created["metadata"]["uid"])
    with pytest.raises(NotFoundError):
        await kube.get(RUNS, "team", "x")


async def test_refusals_that_pass_are_not_seen(kube: Kube, server: ApiServer) -> None:
    server.faults.add(Fault(503), "POST", "componentruns", times=2)
    await kube.create(RUNS, "team", a_run("x"))
    assert [request.method for request in server.requests] == ["POST"] * 3


async def test_a_refusal_that_lasts_is(kube: Kube, server: ApiServer) -> None:
    with server.faults.lasting(Fault(503)), pytest.raises(UnavailableError, match="503"):
        await kube.get(RUNS, "team", "x")
    with pytest.raises(NotFoundError):
        await kube.get(RUNS, "team", "x")


async def test_a_fault_is_for_its_kind_and_method(kube: Kube, server: ApiServer) -> None:
    server.put("pods", {"metadata": {"name": "x", "namespace": "team"}})
    server.faults.add(Fault(409), "PATCH", "pods")
    assert await kube.get(PODS, "team", "x")
    with pytest.raises(ConflictError):
        await kube.patch(PODS, "team", "x", {})
    assert await kube.patch(PODS, "team", "x", {})


async def test_a_lost_answer_leaves_the_write_done(kube: Kube, server: ApiServer) -> None:
    server.faults.add(Fault(lost="answer"), "POST")
    with pytest.raises(AlreadyExistsError) as raised:
        await kube.create(RUNS, "team", a_run("x"))
    assert raised.value.may_be_done
    assert server.of("componentruns")


async def test_a_lost_request_leaves_nothing_done(kube: Kube, server: ApiServer) -> None:
    server.faults.add(Fault(lost="request"), "POST", times=None)
    with pytest.raises(UnavailableError):
        await kube.create(RUNS, "team", a_run("x"))
    assert not server.of("componentruns")


async def test_a_watch_that_is_cut_is_no_usable_answer(kube: Kube, server: ApiServer) -> None:
    events = kube.watch(SECRETS, "team", str(server.storage.version))
    server.put("secrets", {"metadata": {"name": "x", "namespace": "team"}})
    assert (await anext(events))["type"] == "ADDED"
    server.watcher.cut()
    with pytest.raises(UnavailableError):
        await anext(events)


async def test_a_watch_that_is_held_sends_nothing_until_it_is_released(kube: Kube, server: ApiServer) -> None:
    server.watcher.hold()
    events: Any = kube.watch(SECRETS, "team", str(server.storage.version))
    server.put("secrets", {"metadata": {"name": "x", "namespace": "team"}})
    waiting = asyncio.ensure_future(anext(events))
    while not server.watcher.open:  # noqa: ASYNC110 - the fake tells no event
        await asyncio.sleep(0.001)
    assert not waiting.done()
    server.watcher.release()
    assert (await waiting)["object"]["metadata"]["name"] == "x"
    await events.aclose()


async def test_after_a_compaction_earlier_versions_are_gone(kube: Kube, server: ApiServer) -> None:
    version = str(server.storage.version)
    server.put("secrets", {"metadata": {"name": "x", "namespace": "team"}})
    server.storage.compact()
    with pytest.raises(GoneError):
        await anext(kube.watch(SECRETS, "team", version))


async def test_a_listing_that_was_compacted_has_to_begin_anew(kube: Kube, server: ApiServer) -> None:
    for number in range(150):
        server.put("secrets", {"metadata": {"name": f"x{number}", "namespace": "team"}})
    pages = kube.pages(SECRETS, "team")
    assert len((await anext(pages)).items) == 100
    server.put("secrets", {"metadata": {"name": "y", "namespace": "team"}})
    server.storage.compact()
    with pytest.raises(GoneError):
        await anext(pages)
