"""Logs read over the Kubernetes API, in a namespace that allows no host paths: the reader that is not the default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev.images import ensure
from dev.install import IMAGES, NAMESPACE, install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

pytestmark = pytest.mark.disruptive

LINES = 3000


@pytest.fixture(scope="module", autouse=True)
def _installed(connection: Connection) -> Iterator[None]:
    images = ensure(connection, IMAGES)
    install(connection, images, {"collector": {"reader": "api"}})
    yield
    install(connection, images)


def test_it_needs_no_pod_that_reads_the_nodes_files(tenant: Tenant) -> None:
    found = tenant.kubectl("get", "daemonsets", f"--namespace={NAMESPACE}", "--output=name").stdout.split()
    assert found == []
    path = "--output=jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}"
    assert tenant.kubectl("get", "namespace", NAMESPACE, path).stdout == "restricted"


def test_each_line_is_an_event_once_and_in_order_of_its_stream(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "chatty", str(LINES))
    run = tenant.wait(name, lambda run: ((run.get("status") or {}).get("events") or {}).get("delivered", False))
    events = tenant.events(name)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert run["status"]["events"]["count"] == len(events)
    lines = [event.message for event in events if event.source == "component"]
    assert sorted(lines) == sorted(f"line {number} of {LINES}" for number in range(1, LINES + 1))
    stdout = [line for line in lines if int(line.split()[1]) % 10]
    assert stdout == [f"line {number} of {LINES}" for number in range(1, LINES + 1) if number % 10]


def test_a_collector_that_is_killed_goes_on_where_it_was(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "chatty", "200", "10")
    tenant.wait(name, lambda run: (run.get("status") or {}).get("phase") == "Running")
    selector = "--selector=app.kubernetes.io/component=collector"
    tenant.kubectl(
        "delete", "pods", f"--namespace={NAMESPACE}", selector, "--grace-period=0", "--force", "--wait=false"
    )
    tenant.wait(name, lambda run: ((run.get("status") or {}).get("events") or {}).get("delivered", False), timeout=180)
    lines = [event.message for event in tenant.events(name) if event.source == "component"]
    assert sorted(lines) == sorted(f"line {number} of 200" for number in range(1, 201))
