"""Building the tools from Go modules, each with its own pinned go.mod, into a cache keyed by what went in.

A finished build is a folder `<tool>-<key>`; it appears by a rename, so an interrupted build leaves nothing that looks
finished, and a changed pin builds only that tool again.
"""

import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import golang, packages, paths, processes
from e2e.cluster.errors import ClusterError
from e2e.cluster.progress import say, step

TOOLS_FOLDER = Path(__file__).parent / "tools"
HEARTBEAT_SECONDS = 30
TRIES = 2
"""A module that could not be fetched comes most often when it is asked for again; what is there already is kept."""


@dataclass(frozen=True)
class Tool:
    """One thing to build.

    Args:
        binaries: what the build must bring, after renaming.
        folder: the folder with go.mod; empty means the tool's name.
        targets: the packages to build; `tool` means all that go.mod lists.
        renamed: names that Go gives, where they say too little.
        cgo: built with the C compiler (and `libraries` from apt).
    """

    name: str
    binaries: tuple[str, ...]
    folder: str = ""
    targets: tuple[str, ...] = ("tool",)
    tags: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    cgo: bool = False
    libraries: tuple[str, ...] = ()

    @property
    def source(self) -> Path:
        """The folder with go.mod."""
        return TOOLS_FOLDER / (self.folder or self.name)


NODE_BINARIES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
TOOLS = {
    tool.name: tool
    for tool in (
        Tool("s5cmd", ("s5cmd",)),
        Tool("pause", ("pause",), targets=(".",)),
        Tool("etcd", ("etcd",), renamed=(("server", "etcd"),)),
        Tool("kubernetes", NODE_BINARIES),
        Tool("containerd", ("containerd", "containerd-shim-runc-v2", "ctr")),
        Tool(
            "runc",
            ("runc",),
            tags=("seccomp",),
            cgo=True,
            libraries=("gcc", "libc6-dev", "libseccomp-dev", "pkg-config"),
        ),
        Tool("kube-router", ("kube-router",)),
        Tool("coredns", ("coredns",)),
        Tool("helm", ("helm",)),
        # Built only when asked for, by name:
        Tool("minio", ("minio",)),
        Tool("probe", ("probe",), targets=(".",)),
        Tool("kubectl", ("kubectl",), folder="kubernetes", targets=("k8s.io/kubernetes/cmd/kubectl",)),
        Tool("versitygw", ("versitygw",)),
        Tool("kwok", ("kwok",)),
        Tool("argo", ("workflow-controller",)),
    )
}
STANDARD = ("s5cmd", "pause", "etcd", "kubernetes", "containerd", "runc", "kube-router", "coredns", "helm")


def key(files: Iterable[tuple[str, bytes]], go_version: str, flags: Sequence[str]) -> str:
    """The cache key of a build: it changes with the pins, the sources, the toolchain and the flags."""
    digest = hashlib.sha256()
    for name, content in sorted(files):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    digest.update("\0".join([go_version, *flags]).encode())
    return digest.hexdigest()[:12]


def pinned_version(go_mod: str, module: str) -> str:
    """The version of `module` that the text of a go.mod asks for."""
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", go_mod, flags=re.MULTILINE)
    if found is None:
        raise ClusterError(f"go.mod pins no {module}", hint=f"`go get -tool {module}@VERSION` in its folder")
    return found[1]


def flags(tool: Tool) -> list[str]:
    """The flags of `go build` for `tool`."""
    linker = "-s -w"
    if tool.source.name == "kubernetes":
        # Without these the API server and the kubelet call themselves v0.0.0, and clients draw conclusions from that.
        version = pinned_version((tool.source / "go.mod").read_text(), "k8s.io/kubernetes")
        major, minor = version.removeprefix("v").split(".")[:2]
        variable = "-X k8s.io/component-base/version"
        linker += f" {variable}.gitVersion={version} {variable}.gitMajor={major} {variable}.gitMinor={minor}"
        linker += f" {variable}.gitTreeState=clean"
    tags = ["-tags", ",".join(tool.tags)] if tool.tags else []
    return ["-mod=readonly", "-trimpath", "-buildvcs=false", *tags, "-ldflags", linker]


def build(names: Iterable[str] = STANDARD) -> Path:
    """Build what isn't built yet, one after the other, and return the folder of links to all binaries."""
    tools = [_named(name) for name in names]
    go, go_version = golang.find()
    with paths.lock("build"):
        for tool in tools:
            _link(tool, _build(tool, go, go_version))
    return paths.links()


def missing(names: Iterable[str] = STANDARD) -> list[str]:
    """The tools of `names` that would have to be built."""
    _, go_version = golang.find()
    return [name for name in names if not _finished(_named(name), go_version).exists()]


def _named(name: str) -> Tool:
    if name not in TOOLS:
        raise ClusterError(f"there is no tool `{name}`", hint=f"one of {', '.join(TOOLS)}")
    return TOOLS[name]


def _finished(tool: Tool, go_version: str) -> Path:
    sources = [*tool.source.glob("go.*"), *tool.source.glob("*.go")]
    what = [f"cgo={tool.cgo}", *tool.targets, *flags(tool)]
    return paths.builds() / f"{tool.name}-{key(((f.name, f.read_bytes()) for f in sources), go_version, what)}"


def _build(tool: Tool, go: Path, go_version: str) -> Path:
    finished = _finished(tool, go_version)
    if finished.exists():
        return finished
    packages.install(tool.libraries, why=f"to build {tool.name}")
    part = paths.builds() / f".{finished.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    with step(f"building {tool.name} ({', '.join(tool.binaries)})"):
        _compile(tool, go, part)
        for given, wanted in tool.renamed:
            (part / given).rename(part / wanted)
        absent = [name for name in tool.binaries if not (part / name).is_file()]
        if absent:
            found = sorted(file.name for file in part.iterdir())
            raise ClusterError(f"the build of {tool.name} brought {found}, but not {absent}", hint=f"see {tool.source}")
        part.rename(finished)
    return finished


def _compile(tool: Tool, go: Path, folder: Path) -> None:
    log = paths.logs() / f"build-{tool.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    command = [str(go), "build", "-v", *flags(tool), "-o", f"{folder}/", *tool.targets]
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
    """Run the build, and say now and then how far it is."""
    env = os.environ | {"CGO_ENABLED": str(int(tool.cgo)), "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    begun = time.monotonic()
    with log.open("a") as output:
        process = subprocess.Popen(command, cwd=tool.source, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                try:
                    process.wait(timeout=HEARTBEAT_SECONDS)
                except subprocess.TimeoutExpired:
                    lines = sum(1 for _ in log.open(errors="replace"))
                    say(f"{time.monotonic() - begun:7.1f} s  still building {tool.name}, {lines} packages so far")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return process.returncode == 0


def _link(tool: Tool, finished: Path) -> None:
    paths.links().mkdir(parents=True, exist_ok=True)
    for binary in tool.binaries:
        link, target = paths.links() / binary, finished / binary
        if link.is_symlink() and link.readlink() == target:
            continue
        part = link.with_name(f".{binary}.{os.getpid()}")
        part.unlink(missing_ok=True)
        part.symlink_to(target)
        part.replace(link)
