"""Helpers for tests of the collector on a real cluster and a real object store.

Each test has a namespace with a Storage that has its own prefix. Tests write runs with their status to `front`, so that
no operator processes them. Their pods are real and print real lines. The collector is a separate process that watches
only this namespace, so that tests can kill it.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import kubernetes
import kubernetes.client
import pytest

from componentrun.api import names
from componentrun.api.common import API_VERSION, GROUP, VERSION
from componentrun.storage.events.reader import read_events
from componentrun.storage.store.connection import Store, open_store
from componentrun.wire.grants import REDACT_KEY
from dev.cluster.host.ports import free_port
from tests.integration import forks
from tests.integration.collector.front import Front, kubeconfig
from tests.integration.forks import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from componentrun.storage.events.events import Event
    from componentrun.storage.store.settings import StoreSettings
    from dev.cluster.connection import Connection
    from tests.integration.collector.logserver import LogServer

BOTH_WAYS = pytest.mark.parametrize("reader", ["api", "node"])
"""Runs a test twice: with logs read over the API, and from the node's files."""
ROOT = Path(__file__).parents[3]
PRINTER = """
import os, sys, time
lines, rate, size = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
begun = time.monotonic()
for number in range(1, lines + 1):
    text = f"line {number} {time.time_ns()} ".ljust(size, "x") + "\\n"
    os.write(2 if number % 7 == 0 else 1, text.encode())
    if rate:
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
"""


PRINTS_ON = """
import os, sys, time
pause, size, number = 1 / float(sys.argv[1]), int((*sys.argv, 0)[2]), 0
while not os.path.exists("/tmp/enough"):
    number += 1
    os.write(2 if number % 7 == 0 else 1, f"line {number}".ljust(size).encode() + b"\\n")
    time.sleep(pause)
os.write(1, f"lines {number}\\n".encode())
"""
"""Prints about this many lines per second until `Lab.let_go` is called, because a test's own steps may take long on a
busy machine. The second argument is the minimum length of a line."""


def printed(events: Sequence[Event]) -> tuple[list[int], int]:
    """Numbers of all lines that PRINTS_ON printed, and the total that it reported."""
    words = [event.message.split() for event in events if event.source == names.COMPONENT]
    (count,) = [int(number) for word, number in words if word == "lines"]
    return sorted(int(number) for word, number in words if word == "line"), count


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass
class Lab:
    """A namespace with a Storage, and methods to create runs and pods in it."""

    connection: Connection
    api: Any
    image: str
    namespace: str
    settings: StoreSettings
    front: Front
    log_server: LogServer | None = None
    """The log server, if logs are read from the node's files."""

    @property
    def core(self) -> Any:
        return kubernetes.client.CoreV1Api(self.api)

    @property
    def store(self) -> Store:
        return open_store(self.settings)

    async def empty_store(self) -> None:
        store = self.store
        await store.delete([info.key async for info in store.objects(f"{self.settings.prefix}/")])

    def create(self, kind: str, name: str, spec: dict[str, Any]) -> None:
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        kubernetes.client.CustomObjectsApi(self.api).create_namespaced_custom_object(
            GROUP, VERSION, self.namespace, f"{kind.lower()}s", body
        )

    def secret(self, name: str, values: dict[str, str]) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.core.create_namespaced_secret(self.namespace, {"metadata": {"name": name}, "data": data})

    def has_account(self) -> bool:
        """Whether the namespace's service account exists. It is created after the namespace, and pods require it."""
        found = self.core.list_namespaced_service_account(self.namespace, field_selector="metadata.name=default")
        return bool(found.items)

    def run(self, name: str, *, uid: str = "", **spec: Any) -> None:
        """Create a run that was just accepted."""
        self.front.put(
            {
                "apiVersion": API_VERSION,
                "kind": "ComponentRun",
                "metadata": {"name": name, "namespace": self.namespace, "uid": uid or str(uuid.uuid4())},
                "spec": {"image": self.image, "configuration": {"id": "c-1"}, **spec},
                "status": {"phase": "Queued", "phases": [{"phase": "Queued", "startTime": now()}]},
            }
        )

    def status(self, name: str, **status: Any) -> None:
        self.front.patch_status(name, status)

    def get(self, name: str) -> dict[str, Any]:
        return self.front.get(name)

    def uid(self, name: str) -> str:
        return str(self.get(name)["metadata"]["uid"])

    def start(self, name: str, *command: str, secrets: Sequence[str] | None = (), **pod: Any) -> None:
        """Start a run like the operator: create the pod and its Secret, write the status."""
        made = self.core.create_namespaced_pod(self.namespace, self.pod(name, command, **pod))
        if secrets is not None:
            self.secret(made.metadata.name, {REDACT_KEY: json.dumps(list(secrets))})
        attempt = {"number": 1, "pod": made.metadata.name, "podUID": made.metadata.uid, "startTime": now()}
        phases = [*self.get(name)["status"]["phases"], {"phase": "Running", "startTime": now()}]
        self.status(name, phase="Running", phases=phases, attempts=[attempt], startTime=now(), image=self.image)

    def pod(self, run: str, command: Sequence[str], **spec: Any) -> dict[str, Any]:
        container = {
            "name": names.COMPONENT,
            "image": self.image,
            "command": list(command),
            "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "50m"}},
        }
        labels = {names.RUN_LABEL: run, names.RUN_UID_LABEL: self.uid(run), names.ATTEMPT_LABEL: "1"}
        fixed = {"restartPolicy": "Never", "containers": [container], "automountServiceAccountToken": False}
        return {"metadata": {"name": names.pod_name(run, 1), "labels": labels}, "spec": fixed | spec}

    def delete_pod(self, run: str, grace_seconds: int) -> None:
        self.core.delete_namespaced_pod(names.pod_name(run, 1), self.namespace, grace_period_seconds=grace_seconds)

    def let_go(self, run: str) -> None:
        """Let PRINTS_ON end. If it ends before `touch` does, `touch` is killed with its container."""
        pod = names.pod_name(run, 1), f"--namespace={self.namespace}", f"--container={names.COMPONENT}"
        kubectl = str(self.connection.bin_dir / "kubectl"), "--kubeconfig", str(self.connection.kubeconfig)
        command = [*kubectl, "exec", *pod, "--", "touch", "/tmp/enough"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode in {0, 128 + signal.SIGKILL}, done.stderr

    def pod_phase(self, name: str) -> str:
        return str(self.core.read_namespaced_pod(names.pod_name(name, 1), self.namespace).status.phase)

    def end(self, name: str, *, phase: str = "Succeeded", message: str = "All is well") -> None:
        """Write the final status like the operator."""
        phases = [*self.get(name)["status"]["phases"], {"phase": phase, "startTime": now()}]
        reason, result = ("Succeeded", "Success") if phase == "Succeeded" else ("UserError", "Error")
        self.status(
            name, phase=phase, result=result, reason=reason, message=message, phases=phases, completionTime=now()
        )

    def log_file(self, run: str) -> TextIO:
        """Open the node's file with the component's log. It can be read even after the pod is deleted."""
        uid = self.get(run)["status"]["attempts"][0]["podUID"]
        folder = Path("/var/log/pods") / f"{self.namespace}_{names.pod_name(run, 1)}_{uid}"
        return (folder / names.COMPONENT / "0.log").open(encoding="utf-8")

    def break_off(self) -> None:
        """Abort all open log streams."""
        if self.log_server is None:
            self.front.cut_logs()
        else:
            self.log_server.end()
            self.log_server.start()

    def refuse(self) -> None:
        """Reject all log requests from now on."""
        self.front.refuse = 500
        if self.log_server is not None:
            self.log_server.end()

    async def events(self, name: str) -> list[Event]:
        return [event async for event in read_events(self.store, self.uid(name))]

    def delivered(self, name: str) -> dict[str, Any] | None:
        events = self.get(name)["status"].get("events")
        return events if events and events.get("delivered") else None


class Collector:
    """The collector as a process.

    Args:
        lab: where it runs.
        log: file of its output.
        is_forked: whether the process is forked from one that has imported its modules, which saves 1 s of CPU time.
    """

    def __init__(self, lab: Lab, log: Path, *, is_forked: bool = False) -> None:
        self._lab, self._log, self._is_forked = lab, log, is_forked
        log.parent.mkdir(exist_ok=True)
        self._kubeconfig = log.with_name("kubeconfig")
        self._kubeconfig.write_text(kubeconfig(lab.front.url))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | Child | None = None
        self.environment = {
            "KUBECONFIG": str(self._kubeconfig),
            "PYTHONPATH": str(ROOT / "operator"),
            "COMPONENTRUN_NAMESPACES": self._lab.namespace,
            "COMPONENTRUN_PORT": str(self.port),
            "COMPONENTRUN_LOG_FORMAT": "text",
        } | ({} if lab.log_server is None else lab.log_server.collector_environment)

    def start(self) -> None:
        if self._is_forked:
            self.process = Child(forks.collector, self._variables(), self._log)
            return
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "componentrun.collector"], env=self._variables(), stderr=log, stdout=log
            )

    def _variables(self) -> dict[str, str]:
        return {**os.environ, **self.environment, "NO_PROXY": "*", "no_proxy": "*"}

    def end(self, number: int = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process = None
        return code

    def leave(self) -> None:
        """Stop the collector if it runs, and print its log, which pytest shows if the test failed."""
        if self.process is not None:
            self.end()
        print(f"{self._log.parent.name}:\n{self.log()}")  # noqa: T201 - pytest shows it

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float:
        """Sum of a metric over its labels."""
        lines = self.get("/metrics")[1].splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def peak_mib(self) -> float:
        """Peak memory of the process."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""


def wait(what: str, check: Callable[[], Any], *, seconds: float = 180) -> Any:
    """Wait for and return the first true value of `check`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")
