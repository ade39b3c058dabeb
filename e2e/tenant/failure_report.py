"""Add the state of a failed test's runs to its report, because it is deleted with the namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import urllib3
import yaml
from kubernetes.client import ApiException

from componentrun.api.common import GROUP, VERSION
from e2e.tenant.tenant import Tenant

if TYPE_CHECKING:
    import pytest


def add_runs(item: pytest.Item, report: pytest.TestReport) -> None:
    """Add to a failed test's report the runs, pods and Kubernetes events of the tenants among its fixtures."""
    if not report.failed or report.when == "teardown":
        return
    for tenant in tenants_of(getattr(item, "funcargs", {})):
        report.sections.append((f"runs of {tenant.namespace}", runs_and_pods(tenant)))


def tenants_of(fixtures: dict[str, Any]) -> list[Tenant]:
    """Tenants among the values of fixtures, including a fixture's attribute `tenant`, without duplicates."""
    values = [value if isinstance(value, Tenant) else getattr(value, "tenant", None) for value in fixtures.values()]
    return list({tenant.namespace: tenant for tenant in values if isinstance(tenant, Tenant)}.values())


def runs_and_pods(tenant: Tenant) -> str:
    """Statuses of a tenant's runs and pods as YAML, and the events of its namespace, one per line.

    If the API server does not answer, the text says so, so that the test's own failure is still shown.
    """
    try:
        runs = tenant.custom.list_namespaced_custom_object(GROUP, VERSION, tenant.namespace, "componentruns")["items"]
        pods = tenant.core.list_namespaced_pod(tenant.namespace).items
        events = tenant.core.list_namespaced_event(tenant.namespace).items
    except (ApiException, urllib3.exceptions.HTTPError) as error:
        return f"could not be read: {error}"
    statuses = {run["metadata"]["name"]: run.get("status") for run in runs}
    pod_statuses = {pod.metadata.name: tenant.api.sanitize_for_serialization(pod.status) for pod in pods}
    lines = [_line(event) for event in sorted(events, key=_time)]
    return yaml.safe_dump({"runs": statuses, "pods": pod_statuses}) + "\n".join(lines)


def _time(event: Any) -> str:
    return str(event.last_timestamp or event.event_time or event.metadata.creation_timestamp)


def _line(event: Any) -> str:
    about = event.involved_object
    return f"{_time(event)} {about.kind}/{about.name} {event.reason}: {event.message}"
