"""Debian packages that are missing are installed, and it is said which and why."""

import os
import shutil
from collections.abc import Sequence
from typing import Final

from dev.cluster import commands, paths
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say, step

_PATIENCE: Final = ("-o", "DPkg::Lock::Timeout=300")
"""Seconds to wait for another apt-get on this machine instead of failing at once."""
_updated: list[bool] = []


def absent(names: Sequence[str]) -> list[str]:
    """Those of `names` that are not installed to the end: dpkg knows a package before its files are there."""
    return [name for name in names if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        told = commands.run(["dpkg-query", "--show", "--showformat=${db:Status-Status}\\n", name])
    except ClusterError:
        return False  # it has never heard of it
    return "installed" in told.split()


def install(names: Sequence[str], *, why: str) -> None:
    """Install what is missing of `names` with apt-get (with sudo when not root).

    Raises:
        ClusterError: this is no Debian, or apt-get failed.
    """
    if shutil.which("dpkg") is None:
        say(f"no dpkg here: trusting that {', '.join(names)} are installed some other way" if names else "")
        return
    if not absent(names):
        return
    with paths.lock("packages"):  # `apt-get update` fails where another one runs
        _install(absent(names), why)


def _install(wanted: Sequence[str], why: str) -> None:
    if not wanted:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(f"{', '.join(wanted)} missing ({why}), and there is no apt-get", hint="install them by hand")
    prefix = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    hint = f"run `apt-get install {' '.join(wanted)}` by hand to see what is wrong"
    with step(f"installing {', '.join(wanted)} with apt-get ({why})"):
        if not _updated:
            commands.run([*prefix, "apt-get", *_PATIENCE, "update"], env=quiet, timeout=600, hint=hint)
            _updated.append(True)
        flags = ["--yes", "--no-install-recommends"]
        commands.run([*prefix, "apt-get", *_PATIENCE, "install", *flags, *wanted], env=quiet, timeout=900, hint=hint)
    _stop_services(wanted, prefix)


def _stop_services(names: Sequence[str], prefix: Sequence[str]) -> None:
    """Debian starts a service as soon as it is installed; ours run with their own settings, on the same ports."""
    if "docker-registry" in names and commands.succeeds(["systemctl", "is-active", "docker-registry"]):
        say("stopping the docker-registry service that its package started: the cluster runs its own")
        commands.run([*prefix, "systemctl", "disable", "--now", "docker-registry"])
