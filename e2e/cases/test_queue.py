"""Queued runs on the real cluster: groups, policies, the namespace's limit, a full quota."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import kubernetes.client
import pytest

from componentrun.api.common import API_VERSION, GROUP, VERSION
from componentrun.api.names import KUEUE_QUEUE_LABEL
from dev.cluster import waiting
from e2e import tenant as tenants
from e2e.tenant.admission import try_pod
from e2e.tenant.gating import GATE, gate_pods, open_gate
from e2e.tenant.tenant import LONG_AGO, SMALL, phase_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

CONFIGURATION: Final = {"id": "42"}
OUTPUT: Final = {"tables": [{"source": "result.csv", "destination": "out.c-main.result", "incremental": True}]}
WAIT_SECONDS: Final = 300


@pytest.fixture
def narrow(connection: Connection) -> Iterator[Tenant]:
    """A namespace in which only one run at a time has a pod."""
    new_tenant = tenants.create(connection, maxRunning=1)
    yield new_tenant
    new_tenant.delete()


def is_running(run: dict[str, Any]) -> bool:
    return phase_of(run) == "Running"


def waits_for(cause: str) -> Any:
    """Condition for `Tenant.wait`: the run is Queued and its status says that it waits for `cause`."""
    return lambda run: ((run.get("status") or {}).get("queue") or {}).get("waitingFor") == cause


def assert_one_after_another(tenant: Tenant, names: list[str]) -> None:
    previous_end = LONG_AGO
    for name in names:
        status = tenant.wait(name, timeout=WAIT_SECONDS)["status"]
        assert status["phase"] == "Succeeded", status
        start, end = tenant.component_times(name)
        assert previous_end <= start, f"{name} began at {start}, the one before it ended at {previous_end}"
        previous_end = end


def test_runs_of_one_configuration_run_one_after_another_in_order_of_creation(tenant: Tenant, components: str) -> None:
    front = tenant.run(components, "sleep-for", "300", configuration=CONFIGURATION, output=OUTPUT)
    names = [
        tenant.run(components, "rows", "10", name=name, configuration=CONFIGURATION, output=OUTPUT)
        for name in ("third-of-the-alphabet", "second-of-the-alphabet", "first-of-the-alphabet")
    ]
    last = tenant.wait(names[2], waits_for("ConcurrencyGroup"))["status"]
    assert last["phase"] == "Queued"
    assert last["queue"]["group"].endswith("/42")
    assert "third-of-the-alphabet" in last["message"]
    output = tenant.cli("get", names[2]).stdout
    assert "Waits for:" in output, output
    tenant.patch(front, {"cancel": True})
    assert_one_after_another(tenant, names)
    table = tenant.table("out.c-main.result")
    assert table is not None
    assert len(table.splitlines()) == 31


def test_forbid_ends_at_once_and_names_the_run_in_the_way(tenant: Tenant, components: str) -> None:
    first = tenant.run(components, "sleep-for", "300", configuration=CONFIGURATION)
    tenant.wait(first, is_running)
    second = tenant.run(components, "true", configuration=CONFIGURATION, concurrency={"policy": "Forbid"})
    status = tenant.wait(second)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "ConcurrencyForbidden"), status
    assert first in status["message"]
    assert not tenant.pods(second)


def test_replace_stops_the_one_that_runs_and_then_runs(tenant: Tenant, components: str) -> None:
    first = tenant.run(components, "sleep-for", "300", configuration=CONFIGURATION)
    tenant.wait(first, is_running)
    second = tenant.run(components, "true", configuration=CONFIGURATION, concurrency={"policy": "Replace"})
    status = tenant.wait(first)["status"]
    assert (status["phase"], status["reason"]) == ("Cancelled", "Replaced"), status
    assert second in status["message"]
    assert status["termination"]["reason"] == "Replaced"
    assert tenant.wait(second)["status"]["phase"] == "Succeeded"
    assert tenant.get(second)["status"]["startTime"] > status["termination"]["time"]


def test_allow_runs_beside_the_others(tenant: Tenant, components: str) -> None:
    first = tenant.run(components, "sleep-for", "300", configuration=CONFIGURATION)
    tenant.wait(first, is_running)
    second = tenant.run(components, "true", configuration=CONFIGURATION, concurrency={"policy": "Allow"})
    assert tenant.wait(second)["status"]["phase"] == "Succeeded"
    assert is_running(tenant.get(first))


def test_no_more_runs_than_the_namespace_may_have_a_pod(narrow: Tenant, components: str) -> None:
    front = narrow.run(components, "sleep-for", "300")
    names = [narrow.run(components, "true") for _ in range(3)]
    last = narrow.wait(names[2], waits_for("MaxRunning"))["status"]
    assert "maxRunning" in last["message"]
    narrow.patch(front, {"cancel": True})
    assert_one_after_another(narrow, names)


def not_refused(tenant: Tenant) -> str | None:
    """None if a quota rejects pods of this size, which begins shortly after its status shows its limits."""
    try:
        try_pod(tenant, memory="32Mi")
    except kubernetes.client.ApiException as error:
        return None if "exceeded quota" in str(error.body) else str(error.body)
    return "a pod would be admitted"


def test_a_run_for_which_a_quota_has_no_room_starts_when_it_has(tenant: Tenant, components: str) -> None:
    first = tenant.run(components, "sleep-for", "300")
    tenant.wait(first, is_running)
    # A pod that is created before the quota takes effect would not count, so the first pod is created before the quota.
    tenant.core.create_namespaced_resource_quota(
        tenant.namespace, {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}}
    )
    waiting.until(partial(not_refused, tenant), what="the quota", timeout=60)
    second, third = tenant.run(components, "true"), tenant.run(components, "true")
    message = tenant.wait(second, waits_for("ResourceQuota"))["status"]["message"]
    assert "quota `small` (pods: 1 wanted, 1 of 1 used)" in message
    tenant.wait(third, waits_for("ResourceQuota"))
    tenant.patch(first, {"cancel": True})
    assert_one_after_another(tenant, [second, third])


def test_a_quota_that_is_too_small_for_a_run_ends_it(tenant: Tenant, components: str) -> None:
    tenant.core.create_namespaced_resource_quota(
        tenant.namespace, {"metadata": {"name": "tiny"}, "spec": {"hard": {"requests.memory": "16Mi"}}}
    )
    tenant.kubectl(
        "wait", "resourcequota/tiny", "--for=jsonpath={.status.hard.requests\\.memory}=16Mi", "--timeout=60s"
    )
    waiting.until(partial(not_refused, tenant), what="the quota", timeout=60)
    status = tenant.wait(tenant.run(components, "true"))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "PodRejected"), status
    assert "quota `tiny`" in status["message"]


def submit_to_kueue(tenant: Tenant, name: str, image: str, *args: str) -> None:
    body = {
        "apiVersion": API_VERSION,
        "kind": "ComponentRun",
        "metadata": {"name": name, "labels": {KUEUE_QUEUE_LABEL: "team"}},
        "spec": {
            "image": image, "args": list(args), "resources": SMALL, "timeout": "2m", "podTtlAfterFinished": "5m",
        },
    }  # fmt: skip
    tenant.custom.create_namespaced_custom_object(GROUP, VERSION, tenant.namespace, "componentruns", body)


def test_a_label_hands_a_run_to_kueue_and_it_is_not_counted(narrow: Tenant, components: str) -> None:
    """Kueue is not installed. The test checks its label on the pod, and that the operator no longer counts the run."""
    first = narrow.run(components, "sleep-for", "300")
    narrow.wait(first, is_running)
    submit_to_kueue(narrow, "managed", components, "true")
    assert narrow.wait("managed")["status"]["phase"] == "Succeeded"
    assert narrow.pods("managed")[0].metadata.labels[KUEUE_QUEUE_LABEL] == "team"
    assert is_running(narrow.get(first))


def test_a_run_whose_pod_is_gated_is_queued_until_the_gate_is_taken_away(
    tenant: Tenant, components: str, tmp_path: Path
) -> None:
    if not tenant.connection.own:
        pytest.skip("a stranger's API server may not reach this machine")
    with gate_pods(tenant, tmp_path):
        submit_to_kueue(tenant, "gated", components, "true")
        status = tenant.wait("gated", waits_for("SchedulingGates"))["status"]
    assert status["phase"] == "Queued"
    assert [pod.spec.node_name for pod in tenant.pods("gated")] == [None]
    tenant.wait("gated", lambda run: GATE in run["status"]["message"])
    open_gate(tenant, "gated-1")
    status = tenant.wait("gated")["status"]
    assert status["phase"] == "Succeeded", status
    assert "queue" not in status
