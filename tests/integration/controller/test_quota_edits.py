"""Label changes while a ResourceQuota holds runs back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.api.names import KUEUE_QUEUE_LABEL
from dev.cluster import waiting
from e2e.tenant.tenant import phase_of

if TYPE_CHECKING:
    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess


def waits_for_quota(run: dict[str, Any]) -> bool:
    return bool(((run.get("status") or {}).get("queue") or {}).get("waitingFor") == "ResourceQuota")


def no_quota(tenant: Tenant) -> str | None:
    """None when the quota is in effect."""
    counted = tenant.kubectl("get", "resourcequota", "full", "-o", "jsonpath={.status.hard}").stdout
    return None if "pods" in counted else "not counted yet"


def test_a_refused_run_that_is_given_to_kueue_leaves_the_others_their_turn(
    tenant: Tenant, operator: OperatorProcess, submit: Any
) -> None:
    tenant.core.create_namespaced_resource_quota(
        tenant.namespace, {"metadata": {"name": "full"}, "spec": {"hard": {"pods": "1"}}}
    )
    waiting.until(lambda: no_quota(tenant), what="the quota", timeout=30)
    operator.start()
    first = submit("sleep-for", "300")
    tenant.wait(first, lambda run: phase_of(run) == "Running")
    refused = submit("true")
    tenant.wait(refused, waits_for_quota)
    behind = submit("true")
    tenant.wait(behind, waits_for_quota)
    tenant.kubectl("label", "componentrun", refused, f"{KUEUE_QUEUE_LABEL}=team")
    tenant.patch(first, {"cancel": True})
    ends = [tenant.wait(name, timeout=240)["status"]["phase"] for name in (refused, behind)]
    assert ends == ["Succeeded", "Succeeded"]
    assert operator.process is not None
    assert operator.process.poll() is None
    assert "Traceback" not in operator.log.read_text()
