"""Timeout and cancellation: the decision is recorded, the component gets SIGTERM, then it is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.tenant.tenant import phase_of

if TYPE_CHECKING:
    from e2e.tenant import Tenant

OUTPUT = {"tables": [{"source": "result.csv", "destination": "out.c-main.result"}]}


def test_a_component_that_runs_too_long_is_stopped(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "sleep-for", "300", timeout="3s")
    status = tenant.wait(name)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Timeout"), status
    assert "3s" in status["message"]
    assert status["termination"]["reason"] == "Timeout"
    assert status["exitCode"] == 143
    assert "told to stop" in tenant.last_words(name)


def test_one_that_ignores_the_signal_is_killed_after_the_stop_grace(tenant: Tenant, components: str) -> None:
    # The pod's own grace period is ten minutes, but this wait times out after two.
    name = tenant.run(components, "ignore-sigterm", timeout="3s")
    status = tenant.wait(name)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Timeout"), status
    assert status["exitCode"] == 137
    assert "told to stop, going on" in tenant.last_words(name)


def test_a_running_run_is_cancelled(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "sleep-for", "300", output=OUTPUT)
    tenant.wait(name, lambda run: phase_of(run) == "Running")
    tenant.patch(name, {"cancel": True})
    status = tenant.wait(name)["status"]
    assert (status["phase"], status["reason"]) == ("Cancelled", "Cancelled"), status
    assert tenant.table("out.c-main.result") is None


def test_a_suspended_run_starts_when_released_and_can_be_cancelled_before(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "true", suspend=True)
    tenant.wait(name, lambda run: phase_of(run) == "Suspended")
    assert not tenant.pods(name)
    tenant.patch(name, {"suspend": False})
    assert tenant.wait(name)["status"]["phase"] == "Succeeded"
    other_run = tenant.run(components, "true", suspend=True)
    tenant.wait(other_run, lambda run: phase_of(run) == "Suspended")
    tenant.patch(other_run, {"cancel": True})
    assert tenant.wait(other_run)["status"]["phase"] == "Cancelled"


def test_a_finished_run_goes_after_its_time_to_live(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "true", ttlAfterFinished="3s")
    tenant.wait(name)
    tenant.kubectl("wait", "--for=delete", f"crun/{name}", "--timeout=60s")


def test_a_pod_that_somebody_deletes_ends_the_run(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "sleep-for", "300")
    tenant.wait(name, lambda run: phase_of(run) == "Running")
    tenant.kubectl("delete", "pod", tenant.pods(name)[0].metadata.name, "--grace-period=1", "--wait=false")
    status = tenant.wait(name)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "PodDeleted"), status


@pytest.mark.parametrize("size", ["large"])
def test_a_pod_that_no_node_can_take_says_so_while_it_waits(tenant: Tenant, components: str, size: str) -> None:
    name = tenant.run(components, "true", size=size, resources=None)
    run = tenant.wait(name, lambda run: "Insufficient" in (run.get("status") or {}).get("message", ""), timeout=60)
    assert phase_of(run) == "Pending"
    tenant.patch(name, {"cancel": True})
    assert tenant.wait(name)["status"]["phase"] == "Cancelled"
