"""The service account of the pod that this process runs in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from componentrun.process.kubernetes.access.access import Access
from componentrun.process.kubernetes.access.credentials import Pem, TokenFileCredentials
from componentrun.process.kubernetes.access.errors import AccessError, NoClusterError

__all__ = ["in_cluster_access", "is_in_cluster"]

_FOLDER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_HOST: Final = "KUBERNETES_SERVICE_HOST"
_PORT: Final = "KUBERNETES_SERVICE_PORT"


def is_in_cluster() -> bool:
    """Whether this process runs in a pod that knows its API server."""
    return bool(os.environ.get(_HOST))


def in_cluster_access(folder: Path = _FOLDER) -> Access:
    """How to reach the API server of this pod's cluster.

    Raises:
        NoClusterError: this process does not run in a pod.
        AccessError: the pod has no usable service account.
    """
    host, port = os.environ.get(_HOST, ""), os.environ.get(_PORT, "443")
    if not host:
        raise NoClusterError(f"not in a pod: the variable {_HOST} is not set")
    credentials = TokenFileCredentials(folder / "token")
    credentials.get()
    try:
        authority = Pem((folder / "ca.crt").read_bytes(), str(folder / "ca.crt"))
        namespace = (folder / "namespace").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise AccessError(f"service account file `{error.filename}`: {error.strerror}") from error
    address = f"[{host}]" if ":" in host else host
    return Access(f"https://{address}:{port}", credentials, namespace or "default", authority)
