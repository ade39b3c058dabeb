"""Fixtures of the end-to-end cases: the real cluster with the operator installed, and a namespace for each test.

Nothing is faked. `make test` starts the cluster and installs the operator first. If these tests run alone, they report
what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev.cluster import connection as cluster_connection
from dev.images import ensure
from e2e import tenant as tenants
from e2e.tenant.failure_report import add_runs

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    add_runs(item, report)
    return report


@pytest.fixture(scope="session")
def connection() -> Connection:
    return cluster_connection.load()


@pytest.fixture(scope="session")
def components(connection: Connection) -> str:
    """Reference of the image with the tests' small components."""
    return ensure(connection, ["test-components"])["test-components"]


@pytest.fixture
def tenant(connection: Connection) -> Iterator[Tenant]:
    new_tenant = tenants.create(connection)
    yield new_tenant
    new_tenant.delete()
