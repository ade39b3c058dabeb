"""Attempts that fail through no fault of the run are retried, and the output is published once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kubernetes.client
import pytest

from dev.cluster import waiting
from e2e.tenant.tenant import phase_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.tenant import Tenant

TABLE = "out.c-main.result"
OUTPUT = {"tables": [{"source": "result.csv", "destination": TABLE, "incremental": True}]}
SOON = {"initial": "1s", "max": "1s"}
FIRST_HANGS = """
echo "here is $(cat /etc/hostname)"
case "$(cat /etc/hostname)" in *-1) sleep 300;; esac
printf 'id\\n1\\n' > /data/out/tables/result.csv
"""
SCRIPT: dict[str, Any] = {"command": ["sh", "-c", FIRST_HANGS], "output": OUTPUT}


def status_of(run: dict[str, Any]) -> dict[str, Any]:
    return dict(run.get("status") or {})


def attempts_of(run: dict[str, Any]) -> list[tuple[int, str]]:
    return [(item["number"], item.get("reason", "")) for item in run["status"].get("attempts", [])]


def evict(tenant: Tenant, name: str) -> None:
    (pod,) = tenant.pods(name)
    metadata = {"name": pod.metadata.name, "namespace": tenant.namespace}
    # The pod's own grace period is long enough for an upload, and the shell ignores SIGTERM.
    body = {"metadata": metadata, "deleteOptions": {"gracePeriodSeconds": 3}}
    tenant.core.create_namespaced_pod_eviction(pod.metadata.name, tenant.namespace, body)


def said(tenant: Tenant, name: str) -> list[tuple[int | None, str]]:
    """Lines that the run's component printed, with their attempts."""
    return [(event.attempt, event.message) for event in tenant.events(name) if event.source.startswith("component")]


@pytest.fixture
def label(tenant: Tenant) -> Iterator[dict[str, str]]:
    """A label that no node has; it is removed at the end."""
    name = f"e2e.componentrun.dev/{tenant.namespace}"
    yield {name: "yes"}
    tenant.core.patch_node(tenant.connection.node_name, {"metadata": {"labels": {name: None}}})


def test_a_pod_that_is_deleted_before_the_component_starts_is_followed_by_another(
    tenant: Tenant, components: str, label: dict[str, str]
) -> None:
    spec = {**SCRIPT, "retry": {"backoff": SOON}, "podTemplate": {"nodeSelector": label}}
    name = tenant.run(components, **spec)
    tenant.wait(name, lambda run: "No node takes the pod" in status_of(run).get("message", ""))
    tenant.kubectl("delete", "pod", f"{name}-1", "--wait=false")
    tenant.core.patch_node(tenant.connection.node_name, {"metadata": {"labels": label}})
    run = tenant.wait(name)
    assert run["status"]["phase"] == "Succeeded", run["status"]
    assert attempts_of(run) == [(1, "PodDeleted"), (2, "Succeeded")]
    assert tenant.table(TABLE) == "id\n1\n"
    output = tenant.kubectl("get", "events", "--field-selector", f"involvedObject.name={name},reason=Retrying").stdout
    assert "PodDeleted" in output


def test_a_component_that_ran_is_not_started_again_unasked(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, **SCRIPT)
    tenant.wait(name, lambda run: phase_of(run) == "Running")
    evict(tenant, name)
    run = tenant.wait(name)
    assert (run["status"]["phase"], run["status"]["reason"]) == ("Failed", "Evicted"), run["status"]
    assert attempts_of(run) == [(1, "Evicted")]
    assert tenant.table(TABLE) is None


def test_one_that_may_run_twice_is_and_the_events_of_both_attempts_are_there(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, **SCRIPT, retry={"backoff": SOON, "afterStart": ["Evicted"]})
    tenant.wait(name, lambda run: phase_of(run) == "Running")
    # The pod's log disappears with the pod, so it must be read first.
    waiting.until(lambda: None if said(tenant, name) else "no line", what="the first attempt's line", timeout=60)
    evict(tenant, name)
    run = tenant.wait(name)
    assert run["status"]["phase"] == "Succeeded", run["status"]
    assert attempts_of(run) == [(1, "Evicted"), (2, "Succeeded")]
    assert tenant.table(TABLE) == "id\n1\n"
    tenant.wait(name, lambda run: (status_of(run).get("events") or {}).get("delivered", False))
    assert said(tenant, name) == [(1, f"here is {name}-1"), (2, f"here is {name}-2")]
    messages = [event.message for event in tenant.events(name) if event.source == "operator"]
    assert any(message.startswith("attempt 1 ended: ") for message in messages), messages
    output = tenant.cli("get", name).stdout
    assert "Attempts:" in output
    assert "Evicted" in output


def test_a_registry_that_is_away_is_tried_again_and_then_named(tenant: Tenant) -> None:
    name = tenant.run("127.0.0.1:9/no-registry/here:1", retry={"limit": 1, "backoff": SOON})
    run = tenant.wait(name, timeout=300)
    assert (run["status"]["phase"], run["status"]["reason"]) == ("Failed", "RegistryUnavailable"), run["status"]
    assert attempts_of(run) == [(1, "RegistryUnavailable"), (2, "RegistryUnavailable")]


def test_a_run_that_waits_for_its_next_attempt_can_be_cancelled(tenant: Tenant, components: str) -> None:
    backoff = {"initial": "10m", "max": "1h"}
    name = tenant.run(components, **SCRIPT, retry={"backoff": backoff, "afterStart": ["Evicted"]})
    tenant.wait(name, lambda run: phase_of(run) == "Running")
    evict(tenant, name)
    tenant.wait(name, lambda run: status_of(run).get("reason") == "Retrying")
    tenant.patch(name, {"cancel": True})
    run = tenant.wait(name)
    assert (run["status"]["phase"], attempts_of(run)) == ("Cancelled", [(1, "Evicted")]), run["status"]


def test_a_run_that_has_started_is_not_suspended(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, **SCRIPT)
    tenant.wait(name, lambda run: phase_of(run) == "Running")
    with pytest.raises(kubernetes.client.ApiException, match="the run has started"):
        tenant.patch(name, {"suspend": True})
    tenant.patch(name, {"cancel": True})
    tenant.wait(name)


def test_a_pod_is_kept_to_be_looked_at(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "true", podTtlAfterFinished="5m")
    tenant.wait(name, lambda run: (status_of(run).get("events") or {}).get("delivered", False))
    tenant.wait(
        name, lambda run: any(item["type"] == "EventsDelivered" for item in status_of(run).get("conditions", []))
    )
    # The kubelet updates the phase shortly after the containers have ended.
    tenant.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}-1", "--timeout=60s")
    assert len(tenant.pods(name)) == 1
    tenant.patch(name, {"podTtlAfterFinished": "1s"})
    tenant.kubectl("wait", "--for=delete", f"pod/{name}-1", "--timeout=60s")
