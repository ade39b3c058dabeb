"""The order of starting, and what is done when a part of it ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import kopf
import pytest

from componentrun.controller import app as app_module
from componentrun.controller import kopfrunner
from componentrun.controller.app import Operator
from componentrun.controller.metrics import Metrics
from componentrun.controller.settings import Settings
from componentrun.controller.storages.loaderclient import LoaderClient
from componentrun.process.kubernetes.errors import ForbiddenError
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, RUNS, STORAGES
from componentrun.registry.client import RegistryClient
from componentrun.registry.settings import RegistrySettings
from tests.unit.controller.process import RESOURCES, Api, Watches, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from componentrun.process.kubernetes.client import Kube


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def watches(monkeypatch: pytest.MonkeyPatch) -> Watches:
    made = Watches()
    monkeypatch.setattr(kopf, "spawn_tasks", made.spawn_tasks)
    monkeypatch.setattr(app_module, "_ASK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(kopfrunner, "_FIRST_PAUSE", 0.01)
    return made


@pytest.fixture
async def operator(api: Api, watches: Watches) -> AsyncIterator[Operator]:
    assert watches.starts == 0
    settings = Settings(agent_image="agent:1", host="127.0.0.1", port=0, workers=2)
    made = Operator(settings, cast("Kube", api), Metrics(), LoaderClient(None), RegistryClient(RegistrySettings()))
    running = asyncio.create_task(made.run())
    yield made
    made._stopping.set()
    with suppress(RuntimeError):
        await asyncio.wait_for(running, 10)


async def test_it_is_ready_when_everything_is_listed_and_watched(operator: Operator) -> None:
    await until(lambda: operator._unready() == "")
    assert operator._workers.running


async def test_it_waits_for_the_api_server_and_says_so(operator: Operator, api: Api) -> None:
    api.away = True
    await until(lambda: operator._unready() == "waiting for the API server at https://api.test")
    api.away = False
    await until(lambda: operator._unready() == "")


@pytest.mark.parametrize("resources", [None, ["componentruns"]])
async def test_it_waits_for_the_crds_and_names_them(
    operator: Operator, api: Api, caplog: pytest.LogCaptureFixture, resources: list[str] | None
) -> None:
    api.resources = resources
    await until(lambda: "custom resources" in operator._unready())
    await until(lambda: "does not serve" in caplog.text)
    assert "storages" in caplog.text
    assert "kubectl apply -f crds/" in caplog.text
    api.resources = RESOURCES
    await until(lambda: operator._unready() == "")


async def test_a_listing_that_is_refused_is_tried_again(operator: Operator, api: Api, monkeypatch: Any) -> None:
    answers = [ForbiddenError("pods is forbidden", 403)]
    pages = api.pages

    async def refused(*arguments: Any) -> AsyncIterator[Any]:
        if answers:
            raise answers.pop()
        async for page in pages(*arguments):
            yield page

    monkeypatch.setattr(api, "pages", refused)
    await until(lambda: operator._unready() == "")
    assert not answers


async def test_a_namespace_that_is_refused_at_first_is_listed_once_that_is_allowed(
    api: Api, watches: Watches, monkeypatch: Any
) -> None:
    refused, pages = {"late"}, api.pages

    async def listed(resource: Any, namespace: str | None, *labels: str) -> AsyncIterator[Any]:
        if namespace in refused:
            raise ForbiddenError("pods is forbidden", 403)
        async for page in pages(resource, namespace, *labels):
            yield page

    monkeypatch.setattr(api, "pages", listed)
    settings = Settings(agent_image="agent:1", namespaces=("late", "team"), host="127.0.0.1", port=0, workers=2)
    operator = Operator(settings, cast("Kube", api), Metrics(), LoaderClient(None), RegistryClient(RegistrySettings()))
    running = asyncio.create_task(operator.run())
    await until(lambda: operator._workers.running and watches.starts == 1)
    assert operator._caches.unlisted == {"late"}
    refused.clear()
    await until(lambda: not operator._caches.unlisted)
    operator._stopping.set()
    await asyncio.wait_for(running, 10)


async def test_watches_that_fail_are_started_again(operator: Operator, watches: Watches) -> None:
    await until(lambda: operator._unready() == "")
    watches.fail(ValueError("an error in the watch-stream"))
    await until(lambda: watches.starts == 2)
    await until(lambda: operator._unready() == "")


async def test_kopf_is_started_again_if_it_has_not_found_all_crds(
    operator: Operator, watches: Watches, caplog: pytest.LogCaptureFixture
) -> None:
    watches.found = [COMPONENTS]
    await until(lambda: watches.starts >= 2)
    assert operator._unready() == "waiting for the watches"
    assert "the API server does not list clustercomponents, componentruns, storages yet" in caplog.text
    watches.found = [RUNS, COMPONENTS, CLUSTER_COMPONENTS, STORAGES]
    await until(lambda: operator._unready() == "")


async def test_other_tasks_of_the_loop_are_left_alone_when_watches_end(operator: Operator, watches: Watches) -> None:
    await until(lambda: operator._unready() == "")
    bystander = asyncio.create_task(asyncio.sleep(60))
    watches.fail(ValueError("an error in the watch-stream"))
    await until(lambda: watches.starts == 2)
    await asyncio.sleep(0.05)
    assert not bystander.done()
    bystander.cancel()


async def test_a_worker_that_ends_ends_the_operator(api: Api, watches: Watches) -> None:
    settings = Settings(agent_image="agent:1", host="127.0.0.1", port=0, workers=2)
    operator = Operator(settings, cast("Kube", api), Metrics(), LoaderClient(None), RegistryClient(RegistrySettings()))
    running = asyncio.create_task(operator.run())
    await until(lambda: operator._unready() == "")
    assert watches.starts == 1
    assert operator._workers._dispatcher is not None
    operator._workers._dispatcher.cancel()
    with pytest.raises(RuntimeError, match="a worker ended"):
        await asyncio.wait_for(running, 10)
