"""Reading logs of containers over the API and from the node's files, with and without turning lines into events.

Uses the real kubelet: some pods print as much as fits into one log file, so that both readers find the same lines.
Measures the CPU time of each involved process for a million lines, and lines for each CPU second of the collector.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness.interleave import figures, interleave
from benchmarks.harness.usage import cpu_seconds
from componentrun.api import names
from componentrun.wire import logserver
from dev.cluster import own, waiting
from dev.cluster.errors import ClusterError
from dev.cluster.host import ports, processes
from e2e.tenant.certificates import make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure
    from e2e.tenant import Tenant

__all__ = ["readers"]

_PODS: Final = 8
_LINES: Final = 70_000
"""Lines of 99 bytes: 9.4 MiB with time and stream, below the 10 MiB at which the kubelet rotates."""
_PRINT: Final = f"""
import sys
for number in range({_LINES}):
    sys.stdout.write(f"line {{number}} of a component that has much to say ".ljust(99, ".") + "\\n")
"""
_ACCOUNT: Final = "collector"
_READERS: Final = ("api", "node")
_SERVERS: Final = ("kube-apiserver", "kubelet")
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class _Scene:
    """The pods to read, and the log server."""

    tenant: Tenant
    pods: list[dict[str, Any]]
    server: dict[str, Any]
    server_pid: int
    folder: str


def readers(testbed: Testbed, repeats: int) -> list[Figure]:
    """Both readers, with and without the pipeline."""
    if not testbed.connection.own:
        raise ClusterError("the readers are measured on the machine that is the node", hint="unset KUBECONFIG")
    with testbed.tenant("bench") as tenant, _scene(testbed, tenant) as scene:
        measures = [
            partial(_measure, scene, reader, pipeline=pipeline) for pipeline in (False, True) for reader in _READERS
        ]
        values = interleave(measures, repeats)
    rates = {name: found for name, found in values.items() if name.endswith(".rate")}
    costs = {name: found for name, found in values.items() if not name.endswith(".rate")}
    return [*figures(rates, "1/s", _pairs(rates)), *figures(costs, "s", _pairs(costs))]


def _pairs(values: Mapping[str, list[float]]) -> dict[str, str]:
    """Compare each figure of the node reader with that of the API reader."""
    pairs = {name: name.replace(".node.", ".api.") for name in values if ".node." in name}
    return {name: against for name, against in pairs.items() if against in values}


def _measure(scene: _Scene, reader: str, *, pipeline: bool) -> dict[str, float]:
    """Read everything once."""
    watched = {name: _pid(name) for name in _SERVERS} | ({"log-server": scene.server_pid} if reader == "node" else {})
    before = {name: cpu_seconds(pid) for name, pid in watched.items()}
    order: dict[str, Any] = {"pods": scene.pods, "pipeline": pipeline}
    if reader == "node":
        order |= {"server": scene.server, "folder": scene.folder}
    command = [sys.executable, "-m", "benchmarks.collector.log_reader_process"]
    done = subprocess.run(
        command,
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
        cwd=_ROOT,
        env=_environment(scene.tenant),
    )
    if done.returncode:
        raise RuntimeError(f"the reader failed: {done.stderr[-2000:]}")
    result = json.loads(done.stdout)
    if result["lines"] != _PODS * _LINES:
        raise RuntimeError(f"{result['lines']:,} lines were read; expected {_PODS * _LINES:,}: was a log rotated?")
    millions = result["lines"] / 1e6
    base = f"collector.readers.{'pipeline.' if pipeline else ''}{reader}"
    found = {f"{base}.rate": result["lines"] / result["cpu"], f"{base}.collector": result["cpu"] / millions}
    if not pipeline:
        found |= {f"{base}.{name}": (cpu_seconds(pid) - before[name]) / millions for name, pid in watched.items()}
    return found


@contextmanager
def _scene(testbed: Testbed, tenant: Tenant) -> Iterator[_Scene]:
    """Finished pods, and a log server for their node."""
    pods = [_printed(testbed, tenant, f"prints-{number}") for number in range(_PODS)]
    tenant.kubectl("create", "serviceaccount", _ACCOUNT)
    with tempfile.TemporaryDirectory(prefix="readers-") as folder:
        token = Path(folder) / "token"
        made = tenant.kubectl("create", "token", _ACCOUNT, f"--audience={logserver.AUDIENCE}", "--duration=1h")
        token.write_text(made.stdout, encoding="ascii")
        port, health = ports.free_port(), ports.free_port()
        environment = _environment(tenant) | {
            "COMPONENTRUN_HOST": "127.0.0.1",
            "COMPONENTRUN_PORT": str(health),
            "COMPONENTRUN_NODELOGS_PORT": str(port),
            "COMPONENTRUN_NODELOGS_TLS_FOLDER": str(make_certificate(Path(folder) / "tls")),
            "COMPONENTRUN_NODELOGS_READER": f"system:serviceaccount:{tenant.namespace}:{_ACCOUNT}",
        }
        with subprocess.Popen([sys.executable, "-m", "componentrun.nodelogs"], env=environment) as server:
            try:
                ready = partial(waiting.http_problem, f"http://127.0.0.1:{health}/readyz")
                waiting.until(ready, what="the log server", timeout=30)
                yield _Scene(tenant, pods, _server_pod(pods[0]["spec"]["nodeName"], port), server.pid, folder)
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(30)


def _printed(testbed: Testbed, tenant: Tenant, name: str) -> dict[str, Any]:
    """Create a pod and wait until it has printed everything."""
    container = {
        "name": names.COMPONENT,
        "image": testbed.components,
        "command": ["python3", "-c", _PRINT],
        "resources": {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "50m", "memory": "16Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "restartPolicy": "Never",
        "containers": [container],
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    tenant.kubectl("create", "--filename=-", stdin=json.dumps(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    ))  # fmt: skip
    tenant.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=180s")
    pod: dict[str, Any] = json.loads(tenant.kubectl("get", "pod", name, "--output=json").stdout)
    return pod


def _server_pod(node: str, port: int) -> dict[str, Any]:
    """The log server as a pod, as the collector would see it."""
    return {
        "metadata": {"uid": "server"},
        "spec": {"nodeName": node, "containers": [{"ports": [{"name": "logs", "containerPort": port}]}]},
        "status": {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def _environment(tenant: Tenant) -> dict[str, str]:
    """Environment of processes that use the cluster."""
    return os.environ | {
        "KUBECONFIG": str(tenant.connection.kubeconfig),
        "PYTHONPATH": f"{_ROOT / 'operator'}{os.pathsep}{_ROOT}",
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


def _pid(part: str) -> int:
    """Process id of a part of the cluster."""
    record = processes.find(own.plan().named(part).pid_file)
    if record is None:
        raise ClusterError(f"{part} does not run", hint="`make cluster`")
    return record.pid
