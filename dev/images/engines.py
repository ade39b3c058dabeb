"""The programs that build images: docker or podman if they work, else buildah, which needs no running engine.

An engine works if it can run a container of the base image that the Dockerfiles name. An engine that cannot pull this
base or cannot start containers is skipped. buildah needs neither, because it uses a base built on this machine.
"""

import functools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from dev.cluster import commands, paths
from dev.cluster.errors import ClusterError
from dev.cluster.host import packages
from dev.cluster.progress import say
from dev.images import base

_BUILD_SECONDS: Final = 1800
_BUILD_TRIES: Final = 3
"""Attempts for each build. A failed download usually succeeds when repeated, and finished layers are kept."""
_PUSH_SECONDS: Final = 600
_LOW_DISK: Final = 15 * 1024**3
"""Free space, in bytes, below which buildah's images of earlier days are deleted before a build."""
_DAY_SECONDS: Final = 86_400
_BASE: Final = "localhost/componentrun-base"
PUBLIC_BASE: Final = "debian:bookworm-slim"
"""The base that the Dockerfiles name."""
_PULL_SECONDS: Final = 180


class Engine(Protocol):
    """Interface of an image builder."""

    def ingredients(self) -> tuple[str, ...]:
        """What the engine adds to an image besides its inputs. It becomes part of the tag."""

    def has(self, reference: str) -> bool:
        """Whether the image exists in the engine's own store."""

    def build(self, context: Path, reference: str, target: str) -> None:
        """Build a folder's Dockerfile up to the stage `target`; empty for the last stage."""

    def push(self, reference: str) -> None:
        """Push the image to the registry in its name."""

    def save(self, reference: str, archive: Path) -> None:
        """Save the image as a tar file that containerd, kind and others can import."""


def find() -> Engine:
    """The engine of this machine. If none works, buildah is installed."""
    engines = []
    for program in ("docker", "podman"):
        if not commands.succeeds([program, "info"], timeout=20):
            continue
        problem = base_problem(program)
        if problem is None:
            return DockerLike(program)
        say(f"note: {program} can't run {PUBLIC_BASE}, so images are built with buildah: {problem}")
        engines.append(program)
    if shutil.which("buildah") is None:
        purpose = (
            f"{' and '.join(engines)} can't run {PUBLIC_BASE}" if engines else "neither docker nor podman works here"
        )
        packages.install(["buildah"], why=f"images are built with it: {purpose}")
    return Buildah()


@functools.cache
def base_problem(program: str) -> str | None:
    """Run a container of the public base, like the steps of a build. Returns why this failed; None if it worked.

    The engine pulls the base if it does not have it.
    """
    say(f"      ...  trying {program} with {PUBLIC_BASE}")
    try:
        commands.run([program, "run", "--rm", PUBLIC_BASE, "true"], timeout=_PULL_SECONDS)
    except ClusterError as error:
        return error.problem.splitlines()[-1]
    return None


@dataclass(frozen=True)
class DockerLike:
    """docker or podman. They pull the base image that the Dockerfile names."""

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
    """buildah with its own store in our folder, so the machine's other images are not touched."""

    def __init__(self) -> None:
        folder = paths.home() / "images"
        self._store = ("--root", str(folder / "store"), "--runroot", str(folder / "run"))
        # chroot isolation works as root in a plain sandbox, without user namespaces or a container runtime.
        self._environment = {"STORAGE_DRIVER": "overlay", **os.environ, "BUILDAH_ISOLATION": "chroot"}

    def ingredients(self) -> tuple[str, ...]:
        return ("base", base.key())

    def has(self, reference: str) -> bool:
        return bool(self._run("images", "--quiet", "--filter", f"reference={reference}"))

    def build(self, context: Path, reference: str, target: str) -> None:
        if shutil.disk_usage(paths.home()).free < _LOW_DISK:
            self._delete_earlier_builds()
        self._bud(context, reference, "--build-arg", f"BASE={self._base()}", *_target(target))

    def push(self, reference: str) -> None:
        self._run("push", "--quiet", "--tls-verify=false", reference, f"docker://{reference}", seconds=_PUSH_SECONDS)

    def save(self, reference: str, archive: Path) -> None:
        archive.unlink(missing_ok=True)
        self._run("push", "--quiet", reference, f"docker-archive:{archive}:{reference}", seconds=_PUSH_SECONDS)

    def _delete_earlier_builds(self) -> None:
        """Delete the images of earlier days, with their layers. The registry keeps the images that pods need."""
        earlier = images_to_delete(json.loads(self._run("images", "--json")), time.time())
        if not earlier:
            return
        say(f"note: less than {_LOW_DISK // 1024**3} GiB are free: deleting {len(earlier)} images of earlier days")
        self._run("rmi", "--force", *earlier, seconds=_PUSH_SECONDS)
        self._run("rmi", "--prune", "--force", seconds=_PUSH_SECONDS)

    def _base(self) -> str:
        reference = f"{_BASE}:{base.key()}"
        if not self.has(reference):
            file = base.archive()
            file.with_name("Dockerfile").write_text('FROM scratch\nADD base.tar /\nCMD ["/bin/bash"]\n')
            self._bud(file.parent, reference)
        return reference

    def _bud(self, context: Path, reference: str, *arguments: str) -> None:
        # Mount the host's certificates for machines behind a proxy that re-signs TLS. A volume of a build leaves no
        # files in a layer.
        volumes = (
            ["--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"] if arguments and Path("/etc/ssl/certs").is_dir() else []
        )
        command = ["buildah", *self._store, "bud", "--layers", *volumes, *arguments, "--tag", reference, str(context)]
        _build(command, reference, self._environment)

    def _run(self, verb: str, *arguments: str, seconds: float = 60) -> str:
        return commands.run(["buildah", *self._store, verb, *arguments], env=self._environment, timeout=seconds).strip()


def images_to_delete(images: Sequence[Mapping[str, Any]], now: float) -> list[str]:
    """Names of the images to delete if the disk is nearly full: all but the base and those of the last day.

    Images of the last day share layers with the next build, which would have to make them again.

    Args:
        images: images, as `buildah images --json` returns them.
        now: the time, in seconds since 1970.
    """
    return [
        name
        for image in images
        if now - image["created"] > _DAY_SECONDS
        for name in image["names"] or ()
        if not name.startswith(f"{_BASE}:")
    ]


def _target(target: str) -> list[str]:
    return ["--target", target] if target else []


def _build(command: Sequence[str], reference: str, environment: Mapping[str, str]) -> None:
    """Run a build with its output in a log file, and show the end of the log if the build fails."""
    name = reference.rpartition("/")[2].partition(":")[0]
    log = paths.logs() / f"image-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    for tries_left in reversed(range(_BUILD_TRIES)):
        with log.open("a") as stream:
            process = subprocess.run(
                command, stdout=stream, stderr=subprocess.STDOUT, env=environment, check=False, timeout=_BUILD_SECONDS
            )
        if not process.returncode:
            return
        if tries_left:
            say(f"the build of image `{name}` failed, trying again: {log}")
    tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-15:])
    raise ClusterError(f"image `{name}` could not be built; its log ends so:\n{tail}", hint=f"all of it: {log}")
