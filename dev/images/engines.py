"""The programs that build images: docker or podman where they work, else buildah, which needs no engine running.

An engine works if it runs a container of the base that the Dockerfiles name. An engine that cannot pull this base, or
cannot start containers, is skipped: buildah needs neither, because it builds on a base that is made on this machine.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from dev.cluster import commands, paths
from dev.cluster.errors import ClusterError
from dev.cluster.host import packages
from dev.cluster.progress import say
from dev.images import base

_BUILD_SECONDS: Final = 1800
_BUILD_TRIES: Final = 2
"""What could not be fetched comes most often when it is asked for again; layers that are there are kept."""
_PUSH_SECONDS: Final = 600
_BASE: Final = "localhost/componentrun-base"
PUBLIC_BASE: Final = "debian:bookworm-slim"
"""The base that the Dockerfiles name."""
_PULL_SECONDS: Final = 180


class Engine(Protocol):
    """What is needed of a builder."""

    def ingredients(self) -> tuple[str, ...]:
        """What the engine puts into an image besides its inputs; becomes part of the tag."""

    def has(self, reference: str) -> bool:
        """Whether the image is in the engine's own store."""

    def build(self, context: Path, reference: str, target: str) -> None:
        """Build the Dockerfile of a folder, up to the stage that is the target; empty: the last one."""

    def push(self, reference: str) -> None:
        """Bring the image to the registry that its name says."""

    def save(self, reference: str, archive: Path) -> None:
        """Write the image to a tar file that containerd, kind and others import."""


def find() -> Engine:
    """The engine of this machine; buildah is installed if there is none that can build here."""
    found = []
    for program in ("docker", "podman"):
        if not commands.succeeds([program, "info"], timeout=20):
            continue
        problem = base_problem(program)
        if problem is None:
            return DockerLike(program)
        say(f"note: {program} can't run {PUBLIC_BASE}, so images are built with buildah: {problem}")
        found.append(program)
    if shutil.which("buildah") is None:
        why = f"{' and '.join(found)} can't run {PUBLIC_BASE}" if found else "neither docker nor podman works here"
        packages.install(["buildah"], why=f"images are built with it: {why}")
    return Buildah()


@functools.cache
def base_problem(program: str) -> str | None:
    """Run a container of the public base, as the steps of a build do. Returns why that failed; None if it worked.

    The base is pulled if the engine does not have it.
    """
    say(f"      ...  trying {program} with {PUBLIC_BASE}")
    try:
        commands.run([program, "run", "--rm", PUBLIC_BASE, "true"], timeout=_PULL_SECONDS)
    except ClusterError as error:
        return error.problem.splitlines()[-1]
    return None


@dataclass(frozen=True)
class DockerLike:
    """docker or podman; the base comes from their registry, as the Dockerfile says."""

    program: str

    def ingredients(self) -> tuple[str, ...]:
        return ()

    def has(self, reference: str) -> bool:
        return commands.succeeds([self.program, "image", "inspect", reference])

    def build(self, context: Path, reference: str, target: str) -> None:
        _build([self.program, "build", *_target(target), "--tag", reference, str(context)], reference, os.environ)

    def push(self, reference: str) -> None:
        commands.run([self.program, "push", reference], timeout=_PUSH_SECONDS)

    def save(self, reference: str, archive: Path) -> None:
        commands.run([self.program, "save", "--output", archive, reference], timeout=_PUSH_SECONDS)


class Buildah:
    """buildah with a store of its own, in our folder: nothing that the machine's owner keeps is touched."""

    def __init__(self) -> None:
        folder = paths.home() / "images"
        self._store = ("--root", str(folder / "store"), "--runroot", str(folder / "run"))
        # Neither user namespaces nor a container runtime of its own: it works as root in a plain sandbox.
        self._environment = {"STORAGE_DRIVER": "overlay", **os.environ, "BUILDAH_ISOLATION": "chroot"}

    def ingredients(self) -> tuple[str, ...]:
        return ("base", base.key())

    def has(self, reference: str) -> bool:
        return bool(self._run("images", "--quiet", "--filter", f"reference={reference}"))

    def build(self, context: Path, reference: str, target: str) -> None:
        self._bud(context, reference, "--build-arg", f"BASE={self._base()}", *_target(target))

    def push(self, reference: str) -> None:
        self._run("push", "--quiet", "--tls-verify=false", reference, f"docker://{reference}", seconds=_PUSH_SECONDS)

    def save(self, reference: str, archive: Path) -> None:
        archive.unlink(missing_ok=True)
        self._run("push", "--quiet", reference, f"docker-archive:{archive}:{reference}", seconds=_PUSH_SECONDS)

    def _base(self) -> str:
        reference = f"{_BASE}:{base.key()}"
        if not self.has(reference):
            file = base.archive()
            file.with_name("Dockerfile").write_text('FROM scratch\nADD base.tar /\nCMD ["/bin/bash"]\n')
            self._bud(file.parent, reference)
        return reference

    def _bud(self, context: Path, reference: str, *arguments: str) -> None:
        # The host's certificates are lent to the build, for machines behind a proxy that signs TLS anew; a volume of a
        # build leaves nothing in a layer.
        lent = ["--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"] if arguments and Path("/etc/ssl/certs").is_dir() else []
        command = ["buildah", *self._store, "bud", "--layers", *lent, *arguments, "--tag", reference, str(context)]
        _build(command, reference, self._environment)

    def _run(self, verb: str, *arguments: str, seconds: float = 60) -> str:
        return commands.run(["buildah", *self._store, verb, *arguments], env=self._environment, timeout=seconds).strip()


def _target(target: str) -> list[str]:
    return ["--target", target] if target else []


def _build(command: Sequence[str], reference: str, environment: Mapping[str, str]) -> None:
    """Run a build with its output in a log file, and show the end of it if the build fails."""
    name = reference.rpartition("/")[2].partition(":")[0]
    log = paths.logs() / f"image-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    for tries_left in reversed(range(_BUILD_TRIES)):
        with log.open("a") as stream:
            ended = subprocess.run(
                command, stdout=stream, stderr=subprocess.STDOUT, env=environment, check=False, timeout=_BUILD_SECONDS
            )
        if not ended.returncode:
            return
        if tries_left:
            say(f"the build of image `{name}` failed, trying again: {log}")
    tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-15:])
    raise ClusterError(f"image `{name}` could not be built; its log ends so:\n{tail}", hint=f"all of it: {log}")
