"""The real API server passes the same scenarios as the fake API server of the unit tests.

The Components of these scenarios are in a copy of their CRD with a group of its own: the installed operator writes the
status of every Component, which would change versions that the scenarios compare.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml

from componentrun.api.common import GROUP, VERSION
from componentrun.process.kubernetes.access.context import access_of
from componentrun.process.kubernetes.access.kubeconfig import read_kubeconfig
from dev.cluster import connection as cluster_connection
from tests.fakekube import conformance
from tests.fakekube.conformance.api import Answer, Api, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from dev.cluster.connection import Connection

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("components_copy")]

COPY = f"conformance-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.{GROUP}"
"""Group of the copy that this process uses.

`kubectl get components` means the group that comes first, so it must come after the product's.
"""
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRD = Path(__file__).parents[3] / "crds" / f"{GROUP}_components.yaml"


class CopyApi(Api):
    """Sends what concerns Components to the copy, and names the product's group in the answers."""

    def path(self, plural: str, name: str = "", subresource: str = "") -> str:
        path = super().path(plural, name, subresource)
        return path.replace(f"/apis/{GROUP}/", f"/apis/{COPY}/") if plural == "components" else path

    async def request(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", **query: str
    ) -> Answer:
        answer = await super().request(method, path, of_copy(body), kind=kind, **query)
        return Answer(answer.status, of_product(answer.document))

    @asynccontextmanager
    async def watch(self, plural: str, **query: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        async with super().watch(plural, **query) as events:
            yield (of_product(event) async for event in events)


def of_copy(body: Any) -> Any:
    """The body with the copy's group, if it is a Component or refers to one."""
    text = json.dumps(body)
    return json.loads(text.replace(f'"{GROUP}/', f'"{COPY}/')) if '"Component"' in text else body


def of_product(document: Any) -> Any:
    return json.loads(json.dumps(document).replace(COPY, GROUP))


@pytest.fixture(scope="module")
def connection() -> Connection:
    return cluster_connection.load()


@asynccontextmanager
async def client(connection: Connection, namespace: str) -> AsyncIterator[CopyApi]:
    access = access_of(read_kubeconfig([connection.kubeconfig]))
    credential = access.credentials.get()
    connector = aiohttp.TCPConnector(ssl=access.tls(credential.certificate))
    async with aiohttp.ClientSession(connector=connector, headers=credential.headers()) as session:
        yield CopyApi(session, access.server, namespace)


@pytest.fixture(scope="module")
def components_copy(connection: Connection) -> Iterator[None]:
    """The copy of the CRD."""
    definition = yaml.safe_load(CRD.read_text())
    name = definition["metadata"]["name"] = f"components.{COPY}"
    definition["spec"]["group"] = COPY
    for key in ("shortNames", "categories"):
        definition["spec"]["names"].pop(key, None)

    async def create() -> None:
        async with client(connection, "") as api:
            made = await Api.request(api, "POST", CRDS, definition)
            assert made.status in {201, 409}, made.document
            await eventually(lambda: Api.request(api, "GET", f"{CRDS}/{name}"), is_established)
            # It is established a little before it is served.
            everywhere = f"/apis/{COPY}/{VERSION}/components"
            await eventually(lambda: Api.request(api, "GET", everywhere), lambda answer: answer.status == 200)

    async def delete() -> None:
        async with client(connection, "") as api:
            await Api.request(api, "DELETE", f"{CRDS}/{name}")

    asyncio.run(create())
    yield
    asyncio.run(delete())


def is_established(answer: Answer) -> bool:
    conditions = answer.document.get("status", {}).get("conditions") or []
    return any((item["type"], item["status"]) == ("Established", "True") for item in conditions)


@pytest.fixture
async def api(connection: Connection) -> AsyncIterator[Api]:
    """A client for a namespace in which pods can be created."""
    async with client(connection, f"conformance-{uuid.uuid4().hex[:8]}") as made:
        await made.request("POST", "/api/v1/namespaces", {"metadata": {"name": made.namespace}})
        account = f"/api/v1/namespaces/{made.namespace}/serviceaccounts/default"
        await eventually(lambda: made.request("GET", account), lambda answer: answer.status == 200)
        yield made
        await made.request("DELETE", made.path("pods"), {"gracePeriodSeconds": 0})
        await made.request("DELETE", f"/api/v1/namespaces/{made.namespace}")


class TestApplyingObjects(conformance.ApplyingObjects):
    pass


class TestCreatingObjects(conformance.CreatingObjects):
    pass


class TestDeletingObjects(conformance.DeletingObjects):
    pass


class TestFinalizers(conformance.Finalizers):
    pass


class TestListingObjects(conformance.ListingObjects):
    pass


class TestLogs(conformance.Logs):
    pass


class TestNamespaces(conformance.Namespaces):
    pass


class TestOwners(conformance.Owners):
    pass


class TestPages(conformance.Pages):
    pass


class TestPatchingObjects(conformance.PatchingObjects):
    pass


class TestPods(conformance.Pods):
    pass


class TestQuotas(conformance.Quotas):
    pass


class TestReplacingObjects(conformance.ReplacingObjects):
    pass


class TestStatuses(conformance.Statuses):
    pass


class TestWatchingObjects(conformance.WatchingObjects):
    pass
