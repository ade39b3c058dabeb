"""A network link with limited bandwidth between a process and the store on the same machine.

A network namespace is connected to the machine by a pair of virtual interfaces, each of which limits one direction.
Other traffic of the machine is not affected.
"""

from __future__ import annotations

import ipaddress
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dev.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["link"]

_NAME: Final = "componentrun-link"
_OUTSIDE: Final = "crlink0"
_INSIDE: Final = "crlink1"
_NETWORK: Final = ipaddress.ip_network("198.18.255.252/30")
"""In the range reserved for benchmarks: https://www.rfc-editor.org/rfc/rfc2544#appendix-C.2.2 ."""
_BURST: Final = "1mb"
_LATENCY: Final = "50ms"


@contextmanager
def link(rate: str) -> Iterator[tuple[str, ...]]:
    """Yield the prefix for a command that reaches the machine over a link of this rate (in the notation of `tc`).

    Raises:
        ClusterError: not root, or `ip` or `tc` failed.
    """
    if os.geteuid():
        raise ClusterError("a link of a certain rate needs root", hint="run this benchmark as root, or leave it out")
    machine, process = _NETWORK.hosts()
    _remove()  # leftovers of a killed benchmark
    try:
        _run("ip", "netns", "add", _NAME)
        _run("ip", "link", "add", _OUTSIDE, "type", "veth", "peer", "name", _INSIDE, "netns", _NAME)
        _run("ip", "address", "add", f"{machine}/{_NETWORK.prefixlen}", "dev", _OUTSIDE)
        _run("ip", "link", "set", _OUTSIDE, "up")
        _run("ip", "-n", _NAME, "address", "add", f"{process}/{_NETWORK.prefixlen}", "dev", _INSIDE)
        for device in ("lo", _INSIDE):
            _run("ip", "-n", _NAME, "link", "set", device, "up")
        _run("ip", "-n", _NAME, "route", "add", "default", "via", str(machine))
        limit = ("root", "tbf", "rate", rate, "burst", _BURST, "latency", _LATENCY)
        _run("tc", "qdisc", "add", "dev", _OUTSIDE, *limit)
        _run("tc", "-n", _NAME, "qdisc", "add", "dev", _INSIDE, *limit)
        yield ("ip", "netns", "exec", _NAME)
    finally:
        _remove()


def _remove() -> None:
    """Delete the namespace, and with it the interfaces."""
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    if any(line.split()[0] == _NAME for line in names.splitlines() if line):
        _run("ip", "netns", "delete", _NAME)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(
            f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()}", hint="see above"
        )
