"""The operator of the work tree as a process on this machine."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Final

from benchmarks.harness import usage
from benchmarks.throughput.control_plane import free_ports
from benchmarks.throughput.manifests import AGENT_IMAGE, NAMESPACE
from benchmarks.throughput.service_process import ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.throughput.control_plane import ControlPlane

__all__ = ["Operator"]

_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Operator(ServiceProcess):
    """The operator, with figures from its metrics; see `ServiceProcess`."""

    def __init__(self, control_plane: ControlPlane, **settings: str) -> None:
        """`settings`: environment variables without their prefix."""
        (port,) = free_ports(1)
        given = {
            "AGENT_IMAGE": AGENT_IMAGE,
            "HOST": "127.0.0.1",
            "NAMESPACES": NAMESPACE,
            "PORT": str(port),
            **settings,
        }
        url, log = f"http://127.0.0.1:{port}", control_plane.folder / "operator.log"
        super().__init__("componentrun.controller", url, log, control_plane.operator_kubeconfig, given)

    def reads(self) -> float:
        """Return the number of its reads from the API server; a watch counts once."""
        return self._counted("rest_client_requests_total", lambda labels: labels["method"] not in _WRITES)

    def ended(self) -> float:
        """Return the number of runs that it has completed."""
        return self._counted("componentrun_results_total", lambda _: True)

    def waiting(self) -> float:
        """Return the number of waiting runs."""
        return self._counted("componentrun_queue_waiting", lambda _: True)

    def backlog(self) -> float:
        """Return the length of its work queue."""
        return self._counted("workqueue_depth", lambda _: True)

    def _counted(self, name: str, wanted: Callable[[Mapping[str, str]], bool]) -> float:
        with urllib.request.urlopen(f"{self._url}/metrics", timeout=30) as answer:  # noqa: S310 - our own URL
            return usage.counted(answer.read().decode(), name, wanted)
