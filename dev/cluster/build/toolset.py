"""The tools that are built from Go modules: the programs of each, and how it is built."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.cluster.errors import ClusterError

FOLDER: Final = Path(__file__).parent / "tools"


@dataclass(frozen=True)
class Tool:
    """One tool and how to build it.

    Args:
        binaries: the programs that the build must produce, after renaming.
        folder: the folder with go.mod. Defaults to the tool's name.
        targets: the packages to build; `tool` means all tools that go.mod lists.
        renamed: pairs of the name that Go produces and the wanted name. The same Go name may occur several times, for
            one program that does different work under different names.
        cgo: build with the C compiler (and `libraries` from apt).
        packages: maximum number of packages that a build compiles, for the progress line; 0 if unknown.
    """

    name: str
    binaries: tuple[str, ...]
    folder: str = ""
    targets: tuple[str, ...] = ("tool",)
    tags: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    cgo: bool = False
    libraries: tuple[str, ...] = ()
    packages: int = 0

    @property
    def source(self) -> Path:
        """The folder with go.mod."""
        return FOLDER / (self.folder or self.name)

    def files(self) -> list[Path]:
        """The files that determine the result: the pins, and sources in this repository."""
        targets = [self.source / target for target in self.targets if target.startswith(".")]
        return sorted({*self.source.glob("go.*"), *(file for folder in targets for file in folder.glob("*.go"))})

    def flags(self) -> list[str]:
        """The flags of `go build`."""
        linker = "-s -w"
        if self.source.name == "kubernetes":
            # Clients rely on the reported version. Without these flags, the API server and the kubelet report v0.0.0.
            version = pinned_version((self.source / "go.mod").read_text(), "k8s.io/kubernetes")
            major, minor = version.removeprefix("v").split(".")[:2]
            variable = "-X k8s.io/component-base/version"
            linker += f" {variable}.gitVersion={version} {variable}.gitMajor={major} {variable}.gitMinor={minor}"
            linker += f" {variable}.gitTreeState=clean"
        tags = ["-tags", ",".join(self.tags)] if self.tags else []
        return ["-mod=readonly", "-trimpath", "-buildvcs=false", *tags, "-ldflags", linker]


NODE_BINARIES: Final = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kube-router",
)
TOOLS: Final = {
    tool.name: tool
    for tool in (
        Tool(
            "kubernetes",
            (*NODE_BINARIES, "coredns"),
            targets=("./kubernetes", "./coredns"),
            renamed=tuple(("kubernetes", name) for name in NODE_BINARIES),
            packages=2630,
        ),
        Tool("containerd", ("containerd", "containerd-shim-runc-v2", "ctr"), packages=1057),
        Tool("etcd", ("etcd",), renamed=(("server", "etcd"),), packages=581),
        Tool(
            "runc",
            ("runc",),
            tags=("seccomp",),
            cgo=True,
            libraries=("gcc", "libc6-dev", "libseccomp-dev", "pkg-config"),
            packages=309,
        ),
        Tool("pause", ("pause",), targets=(".",)),
        # kubectl and Helm are built only if `clients` has no prebuilt ones.
        Tool("kubectl", ("kubectl",), folder="kubernetes", targets=("k8s.io/kubernetes/cmd/kubectl",)),
        Tool("helm", ("helm",)),
        # Built only when a test, a benchmark or a command needs them.
        Tool("minio", ("minio",)),
        Tool("s5cmd", ("s5cmd",)),
        Tool("versitygw", ("versitygw",)),
        Tool("probe", ("probe",), targets=(".",)),
        Tool("kwok", ("kwok",)),
        Tool("argo", ("workflow-controller",)),
        Tool("cosign", ("cosign",)),
        Tool("buildkit", ("buildkitd", "buildctl", "rootlesskit")),
    )
}
STANDARD: Final = ("kubernetes", "containerd", "etcd", "runc", "pause", "kubectl", "helm")
"""The tools that our own cluster needs; the longest build first."""


def named(name: str) -> Tool:
    """Return the tool with this name.

    Raises:
        ClusterError: the tool does not exist.
    """
    if name not in TOOLS:
        raise ClusterError(f"there is no tool `{name}`", hint=f"one of {', '.join(TOOLS)}")
    return TOOLS[name]


def pinned_version(go_mod: str, module: str) -> str:
    """The version of `module` that the text of a go.mod requires."""
    match = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", go_mod, flags=re.MULTILINE)
    if match is None:
        raise ClusterError(f"go.mod pins no {module}", hint=f"`go get -tool {module}@VERSION` in its folder")
    return match[1]
