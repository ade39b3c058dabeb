"""Check early whether a cluster can work on this machine, with clear messages."""

import os
import shutil
from pathlib import Path

from dev.cluster import commands, layout, paths
from dev.cluster.build import builds
from dev.cluster.errors import ClusterError
from dev.cluster.host import packages, ports, processes
from dev.cluster.stores import seaweedfs as lake

GIB = 1024**3
DISK_TO_BUILD = 14 * GIB
DISK_TO_RUN = 3 * GIB
LONGEST_SOCKET = 100
"""A Unix socket's path has at most 108 bytes, and containerd appends to ours."""
PACKAGES = (
    "containernetworking-plugins",
    "docker-registry",
    "nftables",
    "iptables",
    "ipset",
    "conntrack",
    "iproute2",
    "kmod",
    "procps",
    "util-linux",
)


def check() -> None:
    """Run the checks that need no tools, install the Debian packages, then check the kernel.

    Raises:
        ClusterError: at least one check failed. Contains all problems, not only the first.
    """
    problems = [
        problems for question in (_root, _wheels, _disk, _socket_path, _filesystem, _ports) for problems in question()
    ]
    _raise(problems)
    packages.install(PACKAGES, why="the cluster uses their programs")
    _raise([problems for question in (_programs, _kernel) for problems in question()])


def _raise(problems: list[str]) -> None:
    if problems:
        raise ClusterError("a cluster can't run here:\n" + "\n".join(f"- {problem}" for problem in problems))


def _root() -> list[str]:
    if os.geteuid() == 0:
        return []
    return [f"it must be started by root (this is user {os.geteuid()}); `sudo -E python -m dev.cluster up`"]


def _wheels() -> list[str]:
    try:
        lake.program()
    except ClusterError as error:
        return [f"{error.problem}; {error.hint}"]
    return []


def _disk() -> list[str]:
    paths.make_private(paths.home())
    needed = DISK_TO_BUILD if builds.missing() else DISK_TO_RUN
    return disk_problem(shutil.disk_usage(paths.home()).free, needed)


def disk_problem(free: int, needed: int) -> list[str]:
    """The problem in words if `free` bytes are less than `needed`; else empty."""
    if free >= needed:
        return []
    finding = f"{paths.home()} has {free / GIB:.1f} GiB free, {needed / GIB:.0f} GiB are needed"
    return [f"{finding}; free some, or point {paths.HOME_VARIABLE} to another disk"]


def _socket_path() -> list[str]:
    length = len(str(layout.containerd_socket()))
    if length <= LONGEST_SOCKET:
        return []
    return [
        f"the path {layout.containerd_socket()} is {length} characters long; choose a shorter {paths.HOME_VARIABLE}"
    ]


def _filesystem() -> list[str]:
    kind = commands.run(["stat", "--file-system", "--format=%T", paths.home()]).strip()
    if kind not in {"overlayfs", "nfs"}:
        return []
    return [
        f"{paths.home()} is on {kind}, which can't hold container layers; point {paths.HOME_VARIABLE} to a real disk"
    ]


def _ports() -> list[str]:
    own_pids = {record.pid for file in layout.pids().glob("*.pid") if (record := processes.find(file)) is not None}
    return [
        f"port {port} is taken by `{holder[1]}` (process {holder[0]}); stop it"
        for port in layout.PORTS
        if (holder := ports.holder(port)) is not None and holder[0] not in own_pids
    ]


def _programs() -> list[str]:
    names = ("ip", "nft", "iptables", "ip6tables", "ipset", "conntrack", "docker-registry", "umount")
    problems = [f"the program `{name}` is missing; install its package" for name in names if not shutil.which(name)]
    if not (layout.LIBEXEC / "bridge").exists():
        problems.append(f"the CNI plugins are not in {layout.LIBEXEC}; install containernetworking-plugins")
    return problems


def _kernel() -> list[str]:
    features = {
        "overlay (file system)": lambda: "\toverlay\n" in Path("/proc/filesystems").read_text(),
        "br_netfilter": Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists,
        "nf_tables": lambda: commands.succeeds(["nft", "list", "tables"]),
        "ip_set": lambda: commands.succeeds(["ipset", "list", "-name"]),
        "bridge": _can_bridge,
    }
    problems = []
    for name, works in features.items():
        if works():
            continue
        module = name.split()[0]
        commands.succeeds(["modprobe", module])
        if not works():
            problems.append(f"the kernel feature {name} is missing, and `modprobe {module}` did not bring it")
    return problems


def _can_bridge() -> bool:
    probe = "crunprobe0"
    if not commands.succeeds(["ip", "link", "add", probe, "type", "bridge"]):
        return False
    commands.run(["ip", "link", "delete", probe])
    return True
