"""Faults of the only node: stopped kubelet, restarted container runtime, drain. Other tests can't run meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dev.cluster import own, waiting
from e2e.faults import FakeNode

if TYPE_CHECKING:
    from dev.cluster.connection import Connection
    from tests.integration.controller.conftest import Place

pytestmark = pytest.mark.disruptive

SETTINGS = {"COMPONENTRUN_NODE_LOST_SECONDS": "30", "COMPONENTRUN_UPLOAD_SECONDS": "8"}
"""Long enough for a healthy but slow node to answer. With a stopped kubelet, and with a component that ignores SIGTERM,
the whole time passes."""
GONE_AT_ONCE = [
    {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
    for state in ("unreachable", "not-ready")
]
"""Tolerations that evict the pod as soon as the node is lost (Kubernetes waits five minutes by default)."""
SLOW = """
import sys, time
for left in range(int(sys.argv[1]), 0, -1):
    print(f"{left} s left", flush=True)
    time.sleep(1)
open("/data/out/tables/slow.csv", "w").write("a\\n1\\n")
"""


@pytest.fixture(autouse=True)
def our_own(connection: Connection) -> None:
    if not connection.own:
        pytest.skip("a stranger's node is not ours to break")


def slow(place: Place, table: str, seconds: int = 25, **spec: Any) -> str:
    output = {"tables": [{"source": "slow.csv", "destination": table}]}
    name = place.run(command=["python3", "-c", SLOW, str(seconds)], output=output, **spec)
    place.await_phase(name, "Running")
    return name


def test_a_container_runtime_that_is_restarted_is_not_noticed(place: Place) -> None:
    name = slow(place, "out.c-main.restarted", seconds=15)
    containerd = own.plan().named("containerd")
    try:
        assert containerd.end()
    finally:
        containerd.begin()
        containerd.await_ready()
    status = place.tenant.wait(name)["status"]
    assert status["phase"] == "Succeeded", status["message"]
    assert place.tenant.table("out.c-main.restarted") == "a\n1\n"


def test_a_node_that_is_drained(place: Place, connection: Connection) -> None:
    # The component ignores SIGTERM, and must not end by itself within the grace period.
    name = slow(place, "out.c-main.drained", seconds=300)
    selector = f"--pod-selector=componentrun.dev/run={name}"
    others = ("--delete-emptydir-data", "--ignore-daemonsets")
    try:
        place.tenant.kubectl("drain", connection.node_name, selector, "--force", *others, "--timeout=120s")
    finally:
        place.tenant.kubectl("uncordon", connection.node_name)
    place.failed(name, "Evicted", connection.node_name, "drained", "Nothing was published", "Run it again")
    assert "s left" in place.tenant.last_words(name)


def _is_told_to_go(place: Place, name: str, other: FakeNode) -> str | None:
    """None when the pod is being deleted or is deleted. Also sends a heartbeat of the other node."""
    other.live()
    return (
        "nobody told its pod" if any(not pod.metadata.deletion_timestamp for pod in place.tenant.pods(name)) else None
    )


def test_a_node_whose_kubelet_stopped(place: Place, connection: Connection) -> None:
    """Detected by Kubernetes itself: no heartbeat, a taint, and a deletion that no kubelet completes."""
    # The run's timeout must not come first: Kubernetes needs most of a minute, and the operator waits another one.
    name = slow(place, "out.c-main.lost", podTemplate={"tolerations": GONE_AT_ONCE}, timeout="10m")
    kubelet = own.plan().named("kubelet")
    try:
        assert kubelet.end()
        # If no node is ready, Kubernetes assumes a fault of its own and evicts no pods.
        with FakeNode(place.tenant) as other:
            waiting.until(lambda: _is_told_to_go(place, name, other), what=f"{name}'s end", timeout=180, every=1)
        place.failed(name, "NodeLost", connection.node_name, "Nothing was published", "Run it again", seconds=240)
    finally:
        kubelet.begin()
        kubelet.await_ready()
        place.tenant.kubectl("wait", "--for=condition=Ready", f"node/{connection.node_name}", "--timeout=90s")
    assert place.tenant.table("out.c-main.lost") is None
    place.tenant.kubectl("wait", "--for=delete", f"pod/{name}-1", "--timeout=90s")
