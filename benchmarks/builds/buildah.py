"""The same image by a Dockerfile, with buildah: same parent, same commands, same package index, same registry."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from componentrun.core.builds.conventions import choose_recipe
from dev.cluster import commands, paths
from dev.cluster.host import packages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Buildah", "dockerfile", "own_store"]

_FOLDER: Final = "/code"
_SECONDS: Final = 300


def dockerfile(parent: str, files: Mapping[str, str], arguments: Mapping[str, str]) -> str:
    """A Dockerfile with the commands of a build, and with the dependencies in a layer of their own.

    Args:
        parent: the parent image.
        files: files of the component.
        arguments: variables of the commands.
    """
    recipe = choose_recipe(frozenset(files), _FOLDER)
    dependencies = recipe.dependencies
    lines = [f"FROM {parent}", "USER 0:0", f"WORKDIR {_FOLDER}"]
    lines += [f"ARG {name}={value}" for name, value in sorted(arguments.items())]
    if dependencies is not None:
        lines += [f"COPY {' '.join(dependencies.files)} ./", f"RUN {' && '.join(dependencies.commands)}"]
    lines += ["COPY . ./", f"RUN {' && '.join(recipe.commands)}"]
    lines += [f"ENV {name}={value}" for name, value in recipe.environment]
    words = ", ".join(f'"{word}"' for word in recipe.entrypoint)
    return "\n".join([*lines, "USER 1000:1000", f"ENTRYPOINT [{words}]"]) + "\n"


class Buildah:
    """buildah with a store of its own."""

    def __init__(self, folder: Path) -> None:
        """`folder`: an empty folder for the store."""
        self._folder = folder
        self._store = ("--root", str(folder / "store"), "--runroot", str(folder / "run"))
        # chroot isolation works as root in a plain sandbox, without user namespaces or a container runtime.
        self._environment = {"STORAGE_DRIVER": "overlay", **os.environ, "BUILDAH_ISOLATION": "chroot"}

    def build(self, content: Mapping[str, str], recipe: str, reference: str, *, use_cache: bool) -> float:
        """Build an image and push it. Returns the seconds that this took.

        Args:
            content: files of the component.
            recipe: the Dockerfile.
            reference: name of the image.
            use_cache: whether to use layers of earlier builds.

        Raises:
            ClusterError: buildah failed.
        """
        context = self._folder / "context"
        shutil.rmtree(context, ignore_errors=True)
        context.mkdir()
        for name, text in content.items():
            (context / name).write_text(text)
        file = self._folder / "Dockerfile"
        file.write_text(recipe)
        begun = time.monotonic()
        cache = () if use_cache else ("--no-cache",)
        self._run(
            "bud", "--layers", *cache, "--tls-verify=false", "--file", str(file), "--tag", reference, str(context)
        )
        self._run("push", "--quiet", "--tls-verify=false", reference, f"docker://{reference}")
        return time.monotonic() - begun

    def _run(self, verb: str, *arguments: str) -> None:
        commands.run(["buildah", *self._store, verb, *arguments], env=self._environment, timeout=_SECONDS)


@contextmanager
def own_store() -> Iterator[Buildah]:
    """Buildah with an empty store, which is deleted afterwards. buildah is installed if it is missing."""
    if shutil.which("buildah") is None:
        packages.install(["buildah"], why="builds are compared with it")
    with tempfile.TemporaryDirectory(prefix="buildah-", dir=paths.home(), ignore_cleanup_errors=True) as folder:
        yield Buildah(Path(folder))
