"""A token that was replaced while the API server was away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client as kubernetes_client

from componentrun.process import kube as kube_module
from componentrun.process.kube import Kube
from componentrun.process.resources import PODS
from tests.unit.process.test_kube import ApiServer, Observer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def kube(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kube]:
    monkeypatch.setattr(kube_module, "_FIRST_PAUSE", 0.001)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    async with TestServer(application) as running:
        configuration = kubernetes_client.Configuration(host=str(running.make_url("")))
        configuration.api_key["BearerToken"] = "Bearer sesame"
        async with Kube(configuration, Observer()) as made:
            yield made


async def test_it_is_read_anew_also_behind_other_failures(kube: Kube, server: ApiServer) -> None:
    def reload() -> None:
        kube.configuration.api_key["BearerToken"] = "Bearer newer"

    kube._reload = reload
    server.answers = [(503, {"message": "starting"}), (401, {"message": "Unauthorized"}), (200, {"fine": True})]
    assert await kube.get(PODS, "team", "load-1") == {"fine": True}
    assert server.asked[2][3].get("Authorization") == "Bearer newer"
