"""Memory of idle processes in the cluster, and of the agents while they transfer data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from benchmarks.harness import csvfiles
from benchmarks.harness.agent_runner import agent_runner
from benchmarks.harness.interleave import figures, interleave
from componentrun.api import names
from dev import install
from dev.cluster import waiting
from e2e.tenant.tenant import phase_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import timed_process
    from benchmarks.harness.interleave import Measure
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure
    from e2e.tenant import Tenant

__all__ = ["agent", "idle", "services"]

Container: TypeAlias = tuple[str, str, str]
"""Namespace, pod, container."""
_MIB: Final = 2**20
_INTERPRETER: Final = "interpreter"
_HOUR: Final = "3600"


def agent(testbed: Testbed, repeats: int) -> list[Figure]:
    """Peak memory of the agents with a table of 1 GiB, compared with s5cmd."""
    with agent_runner(testbed, [csvfiles.large(csvfiles.HUGE_BYTES)], memory=True) as runner:
        values = interleave(
            [
                _peak("memory.agent.down", runner.stage_in),
                _peak("memory.s5cmd.down", runner.s5cmd_down),
                _peak("memory.agent.up", runner.stage_out),
                _peak("memory.s5cmd.up", runner.s5cmd_up),
            ],
            repeats,
            warm_ups=0,
        )
    return figures(values, "MiB", {f"memory.agent.{way}": f"memory.s5cmd.{way}" for way in ("down", "up")})


def idle(testbed: Testbed, repeats: int) -> list[Figure]:
    """stage-out while the component runs, compared with waiting in a Python interpreter."""
    with testbed.tenant("bench") as tenant:
        run = tenant.run(testbed.components, "sleep-for", _HOUR, timeout="1h")
        tenant.wait(run, lambda found: phase_of(found) == "Running")
        pod = tenant.pods(run)[0]
        _wait_in_python(tenant, image=pod.spec.init_containers[0].image, node=pod.spec.node_name)
        where = {
            "memory.idle.stage-out": (tenant.namespace, pod.metadata.name, names.STAGE_OUT),
            "memory.idle.interpreter": (tenant.namespace, _INTERPRETER, _INTERPRETER),
        }
        values = interleave([_kubelet(tenant, pod.spec.node_name, where)], repeats, warm_ups=1)
    return figures(values, "MiB", {"memory.idle.stage-out": "memory.idle.interpreter"})


def services(testbed: Testbed, repeats: int) -> list[Figure]:
    """Idle operator and collector."""
    with testbed.tenant("bench") as tenant:
        pods = tenant.core.list_namespaced_pod(
            install.NAMESPACE, label_selector=f"app.kubernetes.io/instance={install.RELEASE}"
        ).items
        found = {pod.metadata.labels["app.kubernetes.io/component"]: pod for pod in pods}
        values: dict[str, list[float]] = {}
        for part, pod in sorted(found.items()):
            where = {f"memory.services.{part}": (install.NAMESPACE, pod.metadata.name, pod.spec.containers[0].name)}
            values |= interleave([_kubelet(tenant, pod.spec.node_name, where)], repeats, warm_ups=0)
    return figures(values, "MiB")


def _peak(name: str, move: Callable[[], timed_process.Ended]) -> Measure:
    return lambda: {name: move().peak_mib}


def _wait_in_python(tenant: Tenant, image: str, node: str) -> None:
    """Create a pod in which the Python agent itself waits."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": _INTERPRETER,
        "image": image,
        "command": ["python3", "-m", "componentrun.agent", "wait"],
        "securityContext": security,
    }
    spec = {
        "nodeName": node,
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    tenant.core.create_namespaced_pod(tenant.namespace, {"metadata": {"name": _INTERPRETER}, "spec": spec})
    tenant.kubectl("wait", "--for=condition=Ready", f"pod/{_INTERPRETER}", "--timeout=60s")


def _kubelet(tenant: Tenant, node: str, where: dict[str, Container]) -> Measure:
    """Measure working sets in MiB as reported by the kubelet; each call waits for newer values."""
    seen: dict[str, str] = {}

    def measure() -> dict[str, float]:
        found: dict[str, tuple[str, float]] = {}

        def missing() -> str | None:
            found.update(_working_sets(tenant, node, where))
            old = [name for name in where if name not in found or found[name][0] == seen.get(name)]
            return f"no new figures of {', '.join(old)}" if old else None

        waiting.until(missing, what="the kubelet's statistics", timeout=120, every=1)
        seen.update({name: time for name, (time, _) in found.items()})
        return {name: size for name, (_, size) in found.items()}

    return measure


def _working_sets(tenant: Tenant, node: str, where: dict[str, Container]) -> dict[str, tuple[str, float]]:
    """Return time and MiB of each container with kubelet statistics."""
    raw: dict[str, Any] = json.loads(tenant.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary").stdout)
    memory = {
        (pod["podRef"]["namespace"], pod["podRef"]["name"], container["name"]): container.get("memory") or {}
        for pod in raw["pods"]
        for container in pod.get("containers") or []
    }
    return {
        name: (memory[place]["time"], memory[place]["workingSetBytes"] / _MIB)
        for name, place in where.items()
        if "workingSetBytes" in memory.get(place, {})
    }
