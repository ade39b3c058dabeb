"""Install missing Debian packages, and print which and why."""

import os
import shutil
from collections.abc import Sequence
from typing import Final

from dev.cluster import commands, paths
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say, step

_PATIENCE: Final = ("-o", "DPkg::Lock::Timeout=300")
"""Wait up to 300 s for another apt-get on this machine instead of failing at once."""
_updated: list[bool] = []


def absent(names: Sequence[str]) -> list[str]:
    """The packages among `names` that are not fully installed. dpkg lists a package before its files exist."""
    return [name for name in names if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        status = commands.run(["dpkg-query", "--show", "--showformat=${db:Status-Status}\\n", name])
    except ClusterError:
        return False  # dpkg does not know this package
    return "installed" in status.split()


def install(names: Sequence[str], *, why: str) -> None:
    """Install the missing packages among `names` with apt-get (with sudo if not root).

    Raises:
        ClusterError: this is not Debian, or apt-get failed.
    """
    if shutil.which("dpkg") is None:
        say(f"no dpkg here: trusting that {', '.join(names)} are installed some other way" if names else "")
        return
    if not absent(names):
        return
    with paths.lock("packages"):  # `apt-get update` fails if another one runs
        _install(absent(names), why)


def _install(names: Sequence[str], why: str) -> None:
    if not names:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(f"{', '.join(names)} missing ({why}), and there is no apt-get", hint="install them by hand")
    prefix = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    hint = f"run `apt-get install {' '.join(names)}` by hand to see what is wrong"
    with step(f"installing {', '.join(names)} with apt-get ({why})"):
        if not _updated:
            commands.run([*prefix, "apt-get", *_PATIENCE, "update"], env=environment, timeout=600, hint=hint)
            _updated.append(True)
        flags = ["--yes", "--no-install-recommends"]
        commands.run(
            [*prefix, "apt-get", *_PATIENCE, "install", *flags, *names], env=environment, timeout=900, hint=hint
        )
    _stop_services(names, prefix)


def _stop_services(names: Sequence[str], prefix: Sequence[str]) -> None:
    """Stop services that Debian started on installation. Ours use the same ports with their own settings."""
    if "docker-registry" in names and commands.succeeds(["systemctl", "is-active", "docker-registry"]):
        say("stopping the docker-registry service that its package started: the cluster runs its own")
        commands.run([*prefix, "systemctl", "disable", "--now", "docker-registry"])
