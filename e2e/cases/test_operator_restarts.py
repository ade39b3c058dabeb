"""A run ends correctly even if the operator or the collector is killed at any moment."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from e2e.tenant.tenant import LONG_AGO

if TYPE_CHECKING:
    from e2e.tenant import Tenant

pytestmark = pytest.mark.disruptive
SYSTEM = "componentrun-system"
ROWS = 200


def has_run(run: dict[str, Any]) -> bool:
    """Whether the run's component has started; it may have ended."""
    return any(item["phase"] == "Running" for item in (run.get("status") or {}).get("phases", []))


def kill(tenant: Tenant, part: str) -> None:
    """Send SIGKILL, like a crash or a lost node, so that the process can't clean up."""
    selector = f"app.kubernetes.io/component={part}"
    tenant.kubectl("delete", "pod", "-n", SYSTEM, "-l", selector, "--grace-period=0", "--force", "--wait=false")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_runs_end_right_though_the_operator_is_killed_at_random_moments(
    tenant: Tenant, components: str, seed: int
) -> None:
    moments = random.Random(seed)  # noqa: S311 - not used for security
    output = {"tables": [{"source": "result.csv", "destination": "out.c-main.result", "incremental": True}]}
    names = []
    for _ in range(3):
        names.append(tenant.run(components, "rows", str(ROWS), output=output))
        time.sleep(moments.uniform(0, 2.5))  # kill at a random moment of the run
        kill(tenant, "operator")
    for name in names:
        status = tenant.wait(name, timeout=240)["status"]
        assert status["phase"] == "Succeeded", status
        assert len(status["attempts"]) == 1
    table = tenant.table("out.c-main.result")
    assert table is not None
    assert len(table.splitlines()) == 1 + ROWS * len(names), "published once each"


def test_runs_that_wait_for_each_other_keep_their_order_though_the_operator_is_killed(
    tenant: Tenant, components: str
) -> None:
    names = [tenant.run(components, "sleep-for", "5", configuration={"id": "42"}) for _ in range(4)]
    tenant.wait(names[3], lambda run: "queue" in (run.get("status") or {}))
    for name in names[:2]:
        tenant.wait(name, has_run, timeout=240)
        kill(tenant, "operator")
    previous_end = LONG_AGO
    for name in names:
        status = tenant.wait(name, timeout=240)["status"]
        assert status["phase"] == "Succeeded", status
        start, end = tenant.component_times(name)
        assert previous_end <= start, f"{name} began at {start}, the one before it ended at {previous_end}"
        previous_end = end


def test_no_line_is_lost_or_doubled_though_the_collector_is_killed(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "chatty", "400", "25")
    tenant.wait(name, lambda run: (run.get("status") or {}).get("phase") == "Running")
    for _ in range(2):
        time.sleep(2)  # more lines are printed meanwhile
        kill(tenant, "collector")
    tenant.wait(name)
    tenant.wait(name, lambda run: (run["status"].get("events") or {}).get("delivered", False), timeout=180)
    lines = [event.message for event in tenant.events(name) if event.source == "component"]
    assert sorted(lines) == sorted(f"line {number} of 400" for number in range(1, 401))
