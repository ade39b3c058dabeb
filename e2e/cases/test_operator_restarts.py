"""Kill the operator, or the collector, at any moment of a run: the run still ends right."""

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
    """Whether its component began; it may be over by now."""
    return any(item["phase"] == "Running" for item in (run.get("status") or {}).get("phases", []))


def kill(tenant: Tenant, part: str) -> None:
    """SIGKILL, as a crash or a lost node would: no chance to clean up."""
    selector = f"app.kubernetes.io/component={part}"
    tenant.kubectl("delete", "pod", "-n", SYSTEM, "-l", selector, "--grace-period=0", "--force", "--wait=false")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_runs_end_right_though_the_operator_is_killed_at_random_moments(
    tenant: Tenant, components: str, seed: int
) -> None:
    moments = random.Random(seed)  # noqa: S311 - a test's choice, no secret
    output = {"tables": [{"source": "result.csv", "destination": "out.c-main.result", "incremental": True}]}
    names = []
    for _ in range(3):
        names.append(tenant.run(components, "rows", str(ROWS), output=output))
        time.sleep(moments.uniform(0, 2.5))  # the moment is the point: anywhere in the run before
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
    names = [tenant.run(components, "sleep-for", "10", configuration={"id": "42"}) for _ in range(4)]
    tenant.wait(names[3], lambda run: "queue" in (run.get("status") or {}))
    for name in names[:2]:
        tenant.wait(name, has_run, timeout=240)
        kill(tenant, "operator")
    ended = LONG_AGO
    for name in names:
        status = tenant.wait(name, timeout=240)["status"]
        assert status["phase"] == "Succeeded", status
        began, ends = tenant.component_times(name)
        assert ended <= began, f"{name} began at {began}, the one before it ended at {ended}"
        ended = ends


def test_no_line_is_lost_or_doubled_though_the_collector_is_killed(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "chatty", "400", "25")
    tenant.wait(name, lambda run: (run.get("status") or {}).get("phase") == "Running")
    for _ in range(2):
        time.sleep(2)  # lines flow meanwhile
        kill(tenant, "collector")
    tenant.wait(name)
    tenant.wait(name, lambda run: (run["status"].get("events") or {}).get("delivered", False), timeout=180)
    lines = [event.message for event in tenant.events(name) if event.source == "component"]
    assert sorted(lines) == sorted(f"line {number} of 400" for number in range(1, 401))
