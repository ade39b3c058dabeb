"""Remove our own cluster, except for logs and builds."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dev.cluster import commands, layout, paths, waiting
from dev.cluster.host import firewall, machine, processes
from dev.cluster.progress import say, step

ORDER = (
    "kube-router",
    "kube-proxy",
    "kubelet",
    "kube-scheduler",
    "kube-controller-manager",
    "kube-apiserver",
    "etcd",
    "registry",
)
POD_CGROUP = "kubepods"


def down() -> bool:
    """Stop every part and container, and restore the machine. Returns whether there was anything to do."""
    state = machine.before()
    if state is None:
        return False
    with step("stopping the parts"):
        for name in ORDER:
            processes.stop(layout.pids() / f"{name}.pid", grace=3)
    with step("stopping containers and containerd"):
        _stop_containers()
    with step("removing mounts, network and cgroups"):
        unmount_below(paths.cluster())
        if Path(f"/sys/class/net/{layout.BRIDGE}").exists():
            commands.run(["ip", "link", "delete", layout.BRIDGE])
        firewall.clean(state["nft_tables"])
        remove_cgroups()
        machine.restore_sysctls(state["sysctls"])
    with step("removing folders"):
        _remove_folders(state["folders"])
        _remove_state()
    return True


def _stop_containers() -> None:
    # Stop containerd before the containers. Otherwise it would notice dead containers and clean up at the same time.
    processes.stop(layout.pids() / "containerd.pid", grace=5)
    pids = sorted(container_processes(str(layout.containerd_socket())))
    processes.kill_all(pids)


def container_processes(socket: str) -> set[int]:
    """The shims of the containerd at `socket`, all their descendants, and all processes in cgroups of pods."""
    parents: dict[int, int] = {}
    pids: set[int] = set()
    for pid in _pids():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            groups = Path(f"/proc/{pid}/cgroup").read_text()
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # the process has ended
        parents[pid] = int(stat.rpartition(")")[2].split()[1])
        if socket.encode() in command or f":/{POD_CGROUP}/" in groups:
            pids.add(pid)
    size = 0
    while size != len(pids):
        size = len(pids)
        pids |= {pid for pid, parent in parents.items() if parent in pids}
    return pids - {os.getpid()}


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def mounts_below(folder: Path, mountinfo: str) -> list[str]:
    """Mount points at or below `folder`, newest first, from the text of /proc/self/mountinfo."""
    points = [line.split()[4].encode().decode("unicode_escape") for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if Path(point).is_relative_to(folder)]


def unmount_below(folder: Path) -> None:
    """Unmount everything at or below `folder`: container roots, volumes, network namespaces."""
    for point in mounts_below(folder, Path("/proc/self/mountinfo").read_text()):
        commands.run(["umount", point], hint="`fuser --mount` shows who uses it")


def cgroup_roots(mountinfo: str) -> list[Path]:
    """Mount points of the cgroup hierarchies, from the text of /proc/self/mountinfo."""
    roots = []
    for line in mountinfo.splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.split()[0] in {"cgroup", "cgroup2"}:
            roots.append(Path(fields.split()[4]))
    return roots


def remove_cgroups() -> None:
    """Remove the pods' cgroups, which are empty at this point, from every hierarchy."""
    for root in cgroup_roots(Path("/proc/self/mountinfo").read_text()):
        top = root / POD_CGROUP
        if top.exists():
            # The kernel needs a moment to notice that the processes have ended.
            waiting.until(lambda top=top: _removal_problem(top), what=f"removing {top}", timeout=20)  # type: ignore[misc]  # a default of a lambda


def _removal_problem(top: Path) -> str | None:
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            Path(folder).rmdir()
        except OSError as error:
            return str(error)
    return None


def _remove_state() -> None:
    """Delete our own folder. The saved machine state is deleted last, so that a failed `down` can be repeated."""
    for entry in paths.cluster().iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != machine.before_file():
            entry.unlink()
    shutil.rmtree(paths.cluster())


def _remove_folders(existing: list[str]) -> None:
    for name in machine.FOLDERS:
        folder = Path(name)
        if name in existing or not folder.exists():
            continue
        unmount_below(folder)
        if folder.is_dir():
            shutil.rmtree(folder)
        else:
            folder.unlink()
    for folder in (Path("/var/log/pods"), Path("/var/log/containers")):
        if folder.exists():
            say(f"note: {folder} was there before this cluster; logs of its pods may be left in it")
