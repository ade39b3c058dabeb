"""A private control plane: real, except for the kubelets of its nodes, which KWOK simulates.

It uses one folder and free ports, so it does not affect other clusters, and everything is deleted afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Self

from benchmarks.harness.seaweedfs import PrivateSeaweedFS, private_seaweedfs
from benchmarks.throughput.costs import audit_log
from benchmarks.throughput.simulation import kwok
from dev.cluster import paths, waiting
from dev.cluster.build import builds
from dev.cluster.host import address
from dev.cluster.node import configs, pki
from dev.cluster.node.parts import Part
from dev.cluster.progress import step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from dev.cluster.stores.seaweedfs import Lake

__all__ = ["API_SERVER", "ARGO", "MANAGER", "ControlPlane", "free_ports"]

API_SERVER: Final = "kube-apiserver"
MANAGER: Final = "kube-controller-manager"
_PARTS: Final = ("etcd", API_SERVER, MANAGER, "kube-scheduler", "kwok")
_TOOLS: Final = ("etcd", "kubernetes", "kwok", "argo")
ARGO: Final = "workflow-controller"
"""Not one of the parts: a benchmark starts it with `extra_part`, and may have been killed before it stopped it."""
_HOST: Final = "127.0.0.1"
_AUDIT_POLICY: Final = "audit-policy.json"
_AUDIT_MIB: Final = 100_000
"""The audit log is rotated at this size, which means never."""
_LIFTED: Final = ("--kube-api-qps=500", "--kube-api-burst=1000", "--concurrent-job-syncs=64")


class ControlPlane:
    """A context manager that starts the control plane and deletes it afterwards."""

    def __init__(self) -> None:
        """Prepare without starting anything."""
        self.folder = paths.home() / "throughput"
        self._stack = ExitStack()
        self._ports = dict(zip((*_PARTS, "etcd-peers"), free_ports(len(_PARTS) + 1), strict=True))
        self._running: dict[str, Part] = {}
        self._seaweedfs: PrivateSeaweedFS | None = None

    def __enter__(self) -> Self:
        """Build missing programs, and start everything."""
        if builds.missing(_TOOLS):
            builds.build(_TOOLS)
        with ExitStack() as stack:
            stack.enter_context(paths.lock("throughput"))
            stack.callback(self._remove)
            self._remove()  # leftovers of a killed benchmark
            paths.make_private(self.folder)
            with step("starting a control plane with fake nodes"):
                self._write_configs()
                for part in (self._etcd(), self._api_server(), self._scheduler(), self._kwok()):
                    self._start(part)
                self.limits(lifted=True)
                self._seaweedfs = stack.enter_context(private_seaweedfs())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything and delete the folder."""
        self._stack.close()

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "admin.kubeconfig"

    @property
    def operator_kubeconfig(self) -> Path:
        """The operator's kubeconfig; it exists after `write_operator_kubeconfig`."""
        return self.folder / "operator.kubeconfig"

    def write_operator_kubeconfig(self, token: str) -> None:
        """Write the operator's kubeconfig with a token; a certificate would be verified for every request."""
        document = json.loads(self.kubeconfig.read_text(encoding="utf-8"))
        document["users"][0]["user"] = {"token": token}
        paths.write_private(self.operator_kubeconfig, json.dumps(document))

    @property
    def audit_file(self) -> Path:
        """The API server's audit log; see `audit_log`."""
        return self.folder / "audit.log"

    @property
    def lake(self) -> Lake:
        """The private store and catalog."""
        if self._seaweedfs is None:
            raise RuntimeError("the control plane was not started")
        return self._seaweedfs.lake

    def pids(self) -> dict[str, int]:
        """Return the process id of each part."""
        return {name: json.loads(part.pid_file.read_text())["pid"] for name, part in self._running.items()}

    def limits(self, *, lifted: bool) -> None:
        """Restart the controller manager with its default limits and workers, or with higher ones."""
        running = self._running.pop(MANAGER, None)
        if running is not None:
            running.end()
        self._start(self._manager(_LIFTED if lifted else ()))

    @contextmanager
    def extra_part(
        self, name: str, arguments: Sequence[str], health: str, environment: Mapping[str, str]
    ) -> Iterator[None]:
        """Run an additional part, whose costs are measured like those of the others.

        Args:
            name: name of the part and of its binary, which must be built.
            arguments: its command line arguments.
            health: URL of its health check.
            environment: additional environment variables.
        """
        part = self._part(name, arguments, lambda: waiting.http_problem(health), **environment)
        try:
            self._start(part)
            yield
        finally:
            self._running.pop(name, None)
            part.end()

    def _start(self, part: Part) -> None:
        part.begin()
        part.await_ready()
        self._running[part.name] = part

    def _remove(self) -> None:
        for name in (ARGO, *reversed(_PARTS)):
            Part(name, ("",), lambda: None, {}, grace=2, folder=self.folder).end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_configs(self) -> None:
        keys = pki.ensure(address.node(), self.folder / "pki")
        server = f"https://{_HOST}:{self._ports[API_SERVER]}"
        texts = {
            "admin.kubeconfig": configs.kubeconfig(server, keys, "admin"),
            "manager.kubeconfig": configs.kubeconfig(server, keys, "manager"),
            "scheduler.kubeconfig": configs.kubeconfig(server, keys, "scheduler"),
            "scheduler.yaml": kwok.scheduler(self.folder / "scheduler.kubeconfig"),
            "kwok.yaml": kwok.kwok(),
            _AUDIT_POLICY: audit_log.policy(),
        }
        for name, text in texts.items():
            paths.write_private(self.folder / name, text)

    def _part(self, name: str, arguments: Sequence[str], check: waiting.Check, **environment: str) -> Part:
        command = (str(paths.links() / name), *arguments)
        known = {"PATH": os.defpath, "HOME": str(self.folder)}
        return Part(name, command, check, known | environment, grace=3, folder=self.folder)

    def _url(self, name: str, path: str, scheme: str = "http") -> waiting.Check:
        context = waiting.client_context(ca=None) if scheme == "https" else None
        return lambda: waiting.http_problem(f"{scheme}://{_HOST}:{self._ports[name]}{path}", context=context)

    def _etcd(self) -> Part:
        client, peers = (f"http://{_HOST}:{self._ports[name]}" for name in ("etcd", "etcd-peers"))
        arguments = {
            "--data-dir": str(self.folder / "etcd"),
            "--listen-client-urls": client,
            "--advertise-client-urls": client,
            "--listen-peer-urls": peers,
            "--initial-advertise-peer-urls": peers,
            "--initial-cluster": f"default={peers}",
            "--quota-backend-bytes": str(4 * 1024**3),
            "--log-level": "warn",
        }
        # Without fsync, because the machine's disk is not part of the measurement.
        return self._part("etcd", ["--unsafe-no-fsync", *_joined(arguments)], self._url("etcd", "/health"))

    def _api_server(self) -> Part:
        keys = self.folder / "pki"
        arguments = {
            "--etcd-servers": f"http://{_HOST}:{self._ports['etcd']}",
            "--bind-address": _HOST,
            "--advertise-address": address.node(),
            "--endpoint-reconciler-type": "none",
            "--secure-port": str(self._ports[API_SERVER]),
            "--service-cluster-ip-range": str(address.SERVICE_SUBNET),
            "--client-ca-file": str(keys / "ca.crt"),
            "--tls-cert-file": str(keys / "apiserver.crt"),
            "--tls-private-key-file": str(keys / "apiserver.key"),
            "--service-account-issuer": "https://kubernetes.default.svc",
            "--service-account-key-file": str(keys / "service-accounts.key"),
            "--service-account-signing-key-file": str(keys / "service-accounts.key"),
            "--authorization-mode": "Node,RBAC",
            "--audit-policy-file": str(self.folder / _AUDIT_POLICY),
            "--audit-log-path": str(self.audit_file),
            "--audit-log-maxsize": str(_AUDIT_MIB),
        }
        context = waiting.client_context(ca=keys / "ca.crt", cert=keys / "admin.crt", key=keys / "admin.key")
        url = f"https://{_HOST}:{self._ports[API_SERVER]}/readyz"
        check = lambda: waiting.http_problem(url, context=context, timeout=5)  # noqa: E731 - as in dev.cluster.node.parts
        return self._part(API_SERVER, _joined(arguments), check)

    def _manager(self, further: Sequence[str]) -> Part:
        keys = self.folder / "pki"
        arguments = {
            "--kubeconfig": str(self.folder / "manager.kubeconfig"),
            "--root-ca-file": str(keys / "ca.crt"),
            "--service-account-private-key-file": str(keys / "service-accounts.key"),
            "--use-service-account-credentials": "true",
            "--bind-address": _HOST,
            "--secure-port": str(self._ports[MANAGER]),
            "--leader-elect": "false",
        }
        return self._part(MANAGER, [*_joined(arguments), *further], self._url(MANAGER, "/healthz", "https"))

    def _scheduler(self) -> Part:
        name = "kube-scheduler"
        arguments = {
            "--config": str(self.folder / "scheduler.yaml"),
            "--bind-address": _HOST,
            "--secure-port": str(self._ports[name]),
        }
        return self._part(name, _joined(arguments), self._url(name, "/healthz", "https"))

    def _kwok(self) -> Part:
        arguments = {
            "--config": str(self.folder / "kwok.yaml"),
            "--kubeconfig": str(self.kubeconfig),
            "--server-address": f"{_HOST}:{self._ports['kwok']}",
        }
        return self._part("kwok", _joined(arguments), self._url("kwok", "/healthz"))


def _joined(arguments: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in arguments.items()]


def free_ports(count: int) -> list[int]:
    """Return free ports, which differ because they are bound at the same time."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind((_HOST, 0))
        return [item.getsockname()[1] for item in sockets]
