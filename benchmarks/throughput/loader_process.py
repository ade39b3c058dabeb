"""The loader of the work tree as a process on this machine, for an operator on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.throughput.service_process import ServiceProcess
from componentrun.wire import loaderaccess
from dev.cluster import paths
from e2e.tenant.certificates import make_certificate

if TYPE_CHECKING:
    from benchmarks.throughput.control_plane import ControlPlane

__all__ = ["Loader"]

_HOST: Final = "127.0.0.1"


class Loader(ServiceProcess):
    """The loader; see `ServiceProcess`."""

    def __init__(self, control_plane: ControlPlane, caller: str, token: str, ports: tuple[int, int]) -> None:
        """Prepare without starting anything.

        Args:
            control_plane: the control plane whose API server verifies the token.
            caller: the user that may send requests: `system:serviceaccount:<namespace>:<name>`.
            token: the token that the operator sends.
            ports: the port for requests, and the port for health and metrics.
        """
        folder = control_plane.folder
        requests, health = ports
        tls = make_certificate(folder / "loader-tls", loaderaccess.SERVER_NAME)
        token_file = folder / "loader-token"
        paths.write_private(token_file, token)
        given = {
            "HOST": _HOST,
            "PORT": str(health),
            "LOADER_PORT": str(requests),
            "LOADER_TLS_FOLDER": str(tls),
            "LOADER_SCRATCH_FOLDER": str(paths.make_private(folder / "loader-scratch")),
            "LOADER_CALLERS": caller,
        }
        url, kubeconfig = f"http://{_HOST}:{health}", control_plane.operator_kubeconfig
        super().__init__("componentrun.loader", url, folder / "loader.log", kubeconfig, given)
        self.settings = {
            "LOADER_URL": f"https://{_HOST}:{requests}",
            "LOADER_TOKEN_FILE": str(token_file),
            "LOADER_CA_FILE": str(tls / "ca.crt"),
        }
        """Settings of the operator for this loader."""
