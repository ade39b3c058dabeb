"""Reading what containers have printed: over the API, and from the node's files; alone, and with events made of it.

On the real kubelet: some pods print as much as just fits into one log file, so that both ways find the same lines. What
is counted is CPU time of each process that takes part, for a million lines, and lines for each CPU second of the
collector's part.
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

from benchmarks.costs import cpu_seconds
from benchmarks.turns import figures, in_turns
from componentrun.api import names
from componentrun.process import nodelogs
from dev.cluster import own, waiting
from dev.cluster.errors import ClusterError
from dev.cluster.host import ports, processes
from e2e.tenant.certificates import make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.lab import Lab
    from benchmarks.record import Figure
    from e2e.tenant import Tenant

__all__ = ["readers"]

_PODS: Final = 8
_LINES: Final = 70_000
"""Of 99 bytes: 9.4 MiB with time and stream, where the kubelet rotates beyond 10."""
_PRINT: Final = f"""
import sys
for number in range({_LINES}):
    sys.stdout.write(f"line {{number}} of a component that has much to say ".ljust(99, ".") + "\\n")
"""
_ACCOUNT: Final = "collector"
_WAYS: Final = ("api", "node")
_SERVERS: Final = ("kube-apiserver", "kubelet")
_ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True)
class _Scene:
    """What is read, and by what."""

    tenant: Tenant
    pods: list[dict[str, Any]]
    server: dict[str, Any]
    server_pid: int
    folder: str


def readers(lab: Lab, repeats: int) -> list[Figure]:
    """Both ways, alone and with the pipeline behind."""
    if not lab.connection.own:
        raise ClusterError("the readers are measured on the machine that is the node", hint="unset KUBECONFIG")
    with lab.tenant("bench") as tenant, _scene(lab, tenant) as scene:
        measures = [partial(_measure, scene, way, pipeline=pipeline) for pipeline in (False, True) for way in _WAYS]
        values = in_turns(measures, repeats)
    rates = {name: found for name, found in values.items() if name.endswith(".rate")}
    costs = {name: found for name, found in values.items() if not name.endswith(".rate")}
    return [*figures(rates, "1/s", _pairs(rates)), *figures(costs, "s", _pairs(costs))]


def _pairs(values: Mapping[str, list[float]]) -> dict[str, str]:
    """Each figure of the node's way against that of the API's."""
    pairs = {name: name.replace(".node.", ".api.") for name in values if ".node." in name}
    return {name: against for name, against in pairs.items() if against in values}


def _measure(scene: _Scene, way: str, *, pipeline: bool) -> dict[str, float]:
    """Read everything once."""
    watched = {name: _pid(name) for name in _SERVERS} | ({"log-server": scene.server_pid} if way == "node" else {})
    before = {name: cpu_seconds(pid) for name, pid in watched.items()}
    order: dict[str, Any] = {"pods": scene.pods, "pipeline": pipeline}
    if way == "node":
        order |= {"server": scene.server, "folder": scene.folder}
    command = [sys.executable, "-m", "benchmarks.readerprobe"]
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
    told = json.loads(done.stdout)
    if told["lines"] != _PODS * _LINES:
        raise RuntimeError(f"{told['lines']:,} lines were read; expected {_PODS * _LINES:,}: was a log rotated?")
    millions = told["lines"] / 1e6
    base = f"events.readers.{'pipeline.' if pipeline else ''}{way}"
    found = {f"{base}.rate": told["lines"] / told["cpu"], f"{base}.collector": told["cpu"] / millions}
    if not pipeline:
        found |= {f"{base}.{name}": (cpu_seconds(pid) - before[name]) / millions for name, pid in watched.items()}
    return found


@contextmanager
def _scene(lab: Lab, tenant: Tenant) -> Iterator[_Scene]:
    """Pods that have printed, and a log server for their node."""
    pods = [_printed(lab, tenant, f"prints-{number}") for number in range(_PODS)]
    tenant.kubectl("create", "serviceaccount", _ACCOUNT)
    with tempfile.TemporaryDirectory(prefix="readers-") as folder:
        token = Path(folder) / "token"
        made = tenant.kubectl("create", "token", _ACCOUNT, f"--audience={nodelogs.AUDIENCE}", "--duration=1h")
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


def _printed(lab: Lab, tenant: Tenant, name: str) -> dict[str, Any]:
    """A pod that has printed everything."""
    container = {
        "name": names.COMPONENT,
        "image": lab.components,
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
    """What the collector would see of the log server, were it a pod."""
    return {
        "metadata": {"uid": "server"},
        "spec": {"nodeName": node, "containers": [{"ports": [{"name": "logs", "containerPort": port}]}]},
        "status": {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def _environment(tenant: Tenant) -> dict[str, str]:
    """For processes that talk to the cluster."""
    return os.environ | {
        "KUBECONFIG": str(tenant.connection.kubeconfig),
        "PYTHONPATH": f"{_ROOT / 'operator'}{os.pathsep}{_ROOT}",
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


def _pid(part: str) -> int:
    """Of a part of the cluster."""
    record = processes.find(own.plan().named(part).pid_file)
    if record is None:
        raise ClusterError(f"{part} does not run", hint="`make cluster`")
    return record.pid
