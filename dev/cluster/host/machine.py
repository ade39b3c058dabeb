"""Changes that the cluster makes to the machine. The old state is saved first, so that `down` can restore it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dev.cluster import commands, paths
from dev.cluster.progress import say

SYSCTL = Path("/proc/sys")
WANTED = {
    "net/ipv4/ip_forward": 1,
    "net/bridge/bridge-nf-call-iptables": 1,  # else traffic between pods on the same bridge bypasses NetworkPolicies
    "net/bridge/bridge-nf-call-ip6tables": 1,
}
AT_LEAST = {
    "fs/inotify/max_user_instances": 8192,  # the kubelet uses one for each followed log
    "fs/inotify/max_user_watches": 524288,
}
CHANGED_BY_PARTS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/conf/all/route_localnet",
)
FOLDERS = (
    "/var/lib/kubelet",
    "/var/log/pods",
    "/var/log/containers",
    "/var/lib/cni",
    "/run/containerd",
    "/run/nri",
    "/run/netns",
    "/run/xtables.lock",
    "/opt/containerd",
    "/opt/nri",
    "/etc/nri",
    "/opt/cni",
    "/etc/cni",
    "/usr/libexec/kubernetes",
)
"""Paths outside our own folder that the parts create and that no flag can change."""


def before_file() -> Path:
    return paths.cluster() / "before.json"


def remember() -> None:
    """Save the state of the machine unless it is already saved."""
    if before_file().exists():
        return
    names = [*WANTED, *AT_LEAST, *CHANGED_BY_PARTS]
    state = {
        "sysctls": {name: (SYSCTL / name).read_text().strip() for name in names if (SYSCTL / name).exists()},
        "nft_tables": commands.run(["nft", "list", "tables"]).splitlines(),
        "folders": [folder for folder in FOLDERS if Path(folder).exists()],
    }
    paths.write_private(before_file(), json.dumps(state, indent=1))


def before() -> dict[str, Any] | None:
    """The saved state of the machine; None if no cluster was started."""
    try:
        state: dict[str, Any] = json.loads(before_file().read_text())
    except FileNotFoundError:
        return None
    return state


def changes(now: Mapping[str, int]) -> dict[str, int]:
    """The kernel settings to write, given the current ones."""
    fixed = {name: value for name, value in WANTED.items() if now.get(name) != value}
    increases = {name: value for name, value in AT_LEAST.items() if name in now and now[name] < value}
    return fixed | increases


def tune() -> None:
    """Apply the kernel settings that the cluster needs. Settings that may not be changed are reported."""
    now = {name: int((SYSCTL / name).read_text()) for name in (*WANTED, *AT_LEAST) if (SYSCTL / name).exists()}
    for name, value in changes(now).items():
        try:
            (SYSCTL / name).write_text(str(value))
        except OSError as error:
            if name in WANTED:
                raise
            say(f"note: {name.replace('/', '.')} stays at {now[name]}, {value} would be better: {error}")


def restore_sysctls(values: Mapping[str, str]) -> None:
    """Restore the kernel settings."""
    for name, value in values.items():
        file = SYSCTL / name
        if not file.exists() or file.read_text().strip() == value:
            continue
        try:
            file.write_text(value)
        except OSError as error:
            say(f"note: {name.replace('/', '.')} could not be set back to {value}: {error}")
