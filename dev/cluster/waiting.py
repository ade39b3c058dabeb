"""Wait for conditions, and check whether a part is ready."""

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from dev.cluster.errors import ClusterError

Check = Callable[[], str | None]
"""Returns None if the check passes, else what is missing."""


def until(check: Check, *, what: str, timeout: float, hint: str = "", every: float = 0.1) -> None:
    """Call `check` until it passes.

    Raises:
        ClusterError: the check did not pass within `timeout` seconds.
    """
    end = time.monotonic() + timeout
    while (missing := check()) is not None:
        if time.monotonic() > end:
            raise ClusterError(f"{what} is not ready after {timeout:.0f} s: {missing}", hint=hint)
        time.sleep(every)


def client_context(*, ca: Path | None, cert: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """TLS context for a check.

    Without `ca`, the server is not verified. The controller manager and the scheduler create a self-signed certificate
    at each start, and only their health is requested, over the loopback interface.
    """
    context = ssl.create_default_context(cafile=ca)
    if ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context


def http_problem(url: str, *, context: ssl.SSLContext | None = None, timeout: float = 2) -> str | None:
    """What went wrong with GET `url`; None if it returned 200."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        body = answer.read(500).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"GET {url}: {error}"
    finally:
        connection.close()
    return None if answer.status == http.HTTPStatus.OK else f"GET {url}: {answer.status} {body}"


def socket_problem(path: Path) -> str | None:
    """What went wrong when connecting to the Unix socket `path`; None if something listens on it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(2)
        try:
            stream.connect(str(path))
        except OSError as error:
            return f"{path}: {error}"
    return None
