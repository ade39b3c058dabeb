"""The real API server passes the same scenarios as the fake API server of the unit tests."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import aiohttp
import pytest

from componentrun.process.kubernetes.access.context import access_of
from componentrun.process.kubernetes.access.kubeconfig import read_kubeconfig
from componentrun.process.kubernetes.connections import LivelySockets
from dev.cluster import connection as cluster_connection
from tests.fakekube import conformance
from tests.fakekube.conformance.api import Api, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dev.cluster.connection import Connection

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def connection() -> Connection:
    return cluster_connection.load()


@pytest.fixture
async def api(connection: Connection) -> AsyncIterator[Api]:
    """A client for a namespace in which pods can be created."""
    access = access_of(read_kubeconfig([connection.kubeconfig]))
    credential = access.credentials.get()
    sockets = LivelySockets()
    connector = aiohttp.TCPConnector(ssl=access.tls(credential.certificate), socket_factory=sockets)
    async with aiohttp.ClientSession(connector=connector, headers=credential.headers()) as session:
        made = Api(session, access.server, f"conformance-{uuid.uuid4().hex[:8]}")
        await made.request("POST", "/api/v1/namespaces", {"metadata": {"name": made.namespace}})
        account = f"/api/v1/namespaces/{made.namespace}/serviceaccounts/default"
        await eventually(lambda: made.request("GET", account), lambda answer: answer.status == 200)
        yield made
        await made.request("DELETE", made.path("pods"), {"gracePeriodSeconds": 0})
        await made.request("DELETE", f"/api/v1/namespaces/{made.namespace}")
    await sockets.closed()


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
