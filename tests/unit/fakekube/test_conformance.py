"""The fake API server passes the scenarios that the real one passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.fakekube import conformance
from tests.fakekube.conformance.api import Api
from tests.fakekube.http import HttpServer
from tests.fakekube.schemas import crd_schemas
from tests.fakekube.server import ApiServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NAMESPACE = "team"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    faked = ApiServer(NAMESPACE)
    faked.writer.schemas = crd_schemas()
    async with HttpServer(faked) as server, aiohttp.ClientSession() as session:
        yield Api(session, server.url, NAMESPACE)


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
