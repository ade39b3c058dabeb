"""External effects on a pod or its node: each has its reason, and the message says if the run is not at fault.

Some tests use the real node. Situations that the real node can't simulate while other tests use it happen on a Node
without a kubelet: the real scheduler and controllers act, and the test writes the status that a kubelet would write.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.utils.quantity import parse_quantity

from componentrun.controller.metrics import Metrics
from componentrun.process.kubernetes.client import connect
from componentrun.process.kubernetes.errors import NamespaceTerminatingError
from componentrun.process.kubernetes.resources import PODS
from dev.cluster import waiting
from e2e.faults import FakeNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess, Place

SETTINGS = {"COMPONENTRUN_NODE_LOST_SECONDS": "30", "COMPONENTRUN_UPLOAD_SECONDS": "20"}
"""Long enough for a healthy but slow node to answer."""


class TestEvicted:
    def test_by_the_eviction_api(self, place: Place) -> None:
        name = place.run("sleep-for", "300")
        place.await_phase(name, "Running")
        place.await_line(name, "s left")
        pod = place.tenant.pods(name)[0].metadata.name
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        place.tenant.core.create_namespaced_pod_eviction(pod, place.tenant.namespace, eviction)
        status = place.failed(name, "Evicted", "drained", "Nothing was published", "Run it again")
        assert status["exitCode"] == 143
        assert "told to stop" in place.tenant.last_words(name)

    @pytest.fixture
    def higher(self, place: Place) -> Iterator[str]:
        """A priority above that of all other pods, which have the default priority.

        No test uses a lower priority, because on a full node any other test's pod would preempt such a pod.
        """
        name = f"test-higher-{uuid.uuid4().hex[:8]}"
        place.tenant.kubectl("create", "priorityclass", name, "--value=1")
        waiting.until(lambda: _known(place, name), what=f"PriorityClass {name}", timeout=120)
        yield name
        place.tenant.kubectl("delete", "priorityclass", name)

    @pytest.fixture
    def large_disk(self, place: Place, connection: Connection) -> str:
        """A request for more than half of the node's disk, which is not used. Two such pods do not fit on the node."""
        node = place.tenant.core.read_node(connection.node_name)
        return str(int(parse_quantity(node.status.allocatable["ephemeral-storage"])) * 3 // 5)

    def test_by_a_pod_of_higher_priority(
        self, place: Place, connection: Connection, higher: str, large_disk: str
    ) -> None:
        if not connection.own:
            pytest.skip("a stranger's nodes may have room for both")
        # Both request the same amount, so one preemption is enough, and no other pod is preempted.
        limits = {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": large_disk}
        name = place.run("sleep-for", "300", resources={"limits": limits})
        place.await_phase(name, "Running")
        place.await_line(name, "s left")
        other = place.run("true", resources={"limits": limits}, priorityClassName=higher)
        place.failed(name, "Evicted", "make room", "`priorityClassName`")
        assert "told to stop" in place.tenant.last_words(name)
        assert place.tenant.wait(other)["status"]["phase"] == "Succeeded"


def _known(place: Place, priority: str) -> str | None:
    """None when pods can use this priority. Admission learns of it with a delay."""
    nothing = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    user = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    containers = [{"name": "c", "image": "none", "securityContext": nothing}]
    spec = {"priorityClassName": priority, "securityContext": user, "containers": containers}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": spec}
    done = place.tenant.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod), check=False)
    return done.stderr or None


class TestNamespace:
    def test_one_that_is_deleted_goes_with_its_runs_and_the_operator_goes_on(
        self, place: Place, operator: OperatorProcess, submit: Any, tenant: Tenant
    ) -> None:
        # The deletion of a namespace is retried after half of the longest grace period of its pods.
        operator.start(COMPONENTRUN_UPLOAD_SECONDS="10")
        names = [submit("sleep-for", "300"), submit("rows")]
        for name in names:
            tenant.wait(name, lambda run: bool(run.get("status", {}).get("attempts")))
        tenant.delete()
        place.tenant.kubectl("wait", "--for=delete", f"namespace/{tenant.namespace}", "--timeout=120s")
        operator.wait_ready()
        assert "Traceback" not in operator.log.read_text()

    def test_what_the_api_server_says_of_one_is_understood(
        self, tenant: Tenant, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A run that starts now ends as NamespaceTerminating; see tests/unit/controller/test_reconciler.py."""
        held: dict[str, Any] = {"metadata": {"name": "held", "finalizers": ["example.com/held"]}}
        tenant.core.create_namespaced_config_map(tenant.namespace, held)
        tenant.delete()
        monkeypatch.setenv("KUBECONFIG", str(connection.kubeconfig))
        pod = {"metadata": {"name": "late"}, "spec": {"containers": [{"name": "c", "image": "none"}]}}

        async def create() -> None:
            async with await connect(Metrics()) as kube:
                await kube.create(PODS, tenant.namespace, pod)

        try:
            with pytest.raises(NamespaceTerminatingError, match="is being deleted"):
                asyncio.run(create())
        finally:
            tenant.core.patch_namespaced_config_map("held", tenant.namespace, {"metadata": {"finalizers": None}})


@pytest.fixture
def node(place: Place) -> Iterator[FakeNode]:
    with FakeNode(place.tenant) as made:
        yield made


@pytest.fixture
def running(place: Place, node: FakeNode) -> str:
    """A run whose component appears to run on the node without a kubelet."""
    name = place.run("sleep-for", "300", podTemplate=node.pod_template)
    place.await_phase(name, "Pending")
    place.tenant.kubectl("wait", "--for=condition=PodScheduled", f"pod/{name}-1", "--timeout=120s")
    node.say_running(f"{name}-1")
    place.await_phase(name, "Running")
    return name


DISRUPTED = [{"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}]
LOW = "The node was low on resource: {}. Threshold quantity: 200Mi, available: 100Mi. "
SHUTDOWN = "Pod was terminated in response to imminent node shutdown."
FULL = 'Usage of EmptyDir volume "data" exceeds the limit "10Gi". '
LATE = "Pod was active on the node longer than the specified deadline"
ENDS: dict[str, tuple[str, str, int, str, tuple[str, ...]]] = {
    "memory": ("Evicted", LOW.format("memory"), 137, "Evicted", ("ran short", "resource: memory", "Run it again")),
    "disk": ("Evicted", LOW.format("ephemeral-storage"), 137, "Evicted", ("low on resource: ephemeral-storage",)),
    "own-disk": ("Evicted", FULL, 137, "DiskFull", ("`dataSize`",)),
    "shutdown": ("Terminated", SHUTDOWN, 143, "NodeLost", ("imminent node shutdown", "Run it again")),
    "critical-pod": ("Preempting", "Preempted in order to admit critical pod", 143, "Evicted", ("higher priority",)),
    "backstop": ("DeadlineExceeded", LATE, 137, "Timeout", ("operator",)),
}
"""Reason and message of the pod, exit code of the component; reason of the run and words of its message."""


class TestWhatAKubeletSays:
    @pytest.mark.parametrize(("reason", "message", "code", "wanted", "words"), ENDS.values(), ids=ENDS)
    def test_a_pod_that_was_put_out(
        self, place: Place, node: FakeNode, running: str, reason: str, message: str, code: int, wanted: str,
        words: tuple[str, ...],
    ) -> None:  # fmt: skip
        ended = FakeNode.ended(code, "298 s left\ntold to stop")
        conditions = DISRUPTED if reason == "Evicted" else []
        node.say(
            f"{running}-1", component=ended, stage_out=FakeNode.ended(137), phase="Failed", reason=reason,
            message=message, conditions=conditions,
        )  # fmt: skip
        status = place.failed(running, wanted, *words)
        assert (status["exitCode"], status["lastWords"]) == (code, "298 s left\ntold to stop")

    def test_a_kubelet_that_came_back_and_did_not_find_the_container(
        self, place: Place, node: FakeNode, running: str
    ) -> None:
        lost = FakeNode.ended(
            137, "The container could not be located when the pod was terminated", "ContainerStatusUnknown"
        )
        node.say(f"{running}-1", component=lost, stage_out=lost, phase="Failed")
        status = place.failed(running, "NodeLost", node.name, "Nothing was published", "Run it again")
        assert "lastWords" not in status
        assert "exitCode" not in status


class TestLostNodes:
    def test_a_node_that_the_cluster_gives_up(self, place: Place, node: FakeNode, running: str) -> None:
        node.taint("node.kubernetes.io/out-of-service")
        place.failed(running, "NodeLost", node.name, "Nothing was published", "Run it again")

    def test_a_node_that_is_taken_away(self, place: Place, node: FakeNode, running: str) -> None:
        node.remove()
        place.failed(running, "NodeLost", node.name, "Nothing was published", seconds=240)
