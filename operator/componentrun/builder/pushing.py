"""Pushes an image: what the registry has is not sent.

The manifest, with the tag that names the build, comes last. So a build that is killed leaves no image, or the whole
one. If two builds of the same input push at once, the first one to finish decides what the tag means, and the other one
takes its image: a tag never moves. Registries with immutable tags enforce the same.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from componentrun.builder.retrying import with_retries
from componentrun.core.builds.errors import BuildError, BuildProblem, LostLayerError
from componentrun.core.builds.image import NewLayer, ParentImage, choose_platform, extend, read_parent
from componentrun.core.builds.layer import Entry, write_layer
from componentrun.registry.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from componentrun.core.builds.image import Changes
    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository
    from componentrun.registry.client import RegistryClient
    from componentrun.registry.upload import RegistryUploader

__all__ = ["LayerFile", "Parent", "Pushed", "layer_file", "pull_parent", "push", "push_blob", "push_tag"]

_CONFIG_BYTES: Final = 4 * 2**20


@dataclass(frozen=True, slots=True)
class LayerFile:
    """A new layer of an image."""

    layer: NewLayer
    path: Path | None
    """None: the repository of the image has it, because an earlier build has pushed it."""


@dataclass(frozen=True, slots=True)
class Parent:
    """A parent image, and where it comes from."""

    image: ParentImage
    repository: Repository
    logins: Sequence[Login]


@dataclass(slots=True)
class Pushed:
    """What a push has done."""

    digest: str
    """Digest of the image that the tag means now."""
    was_there: bool = False
    """Whether the tag was there before, so that nothing was sent."""
    sent_bytes: int = 0
    mounted: int = 0
    """Layers that the registry took from another repository."""
    known: int = 0
    """Layers that the repository had."""
    copied: int = 0
    """Layers of the parent that were downloaded and sent."""


@contextmanager
def layer_file(entries: Iterable[Entry], folder: str, created_by: str, *, hides_below: bool) -> Iterator[LayerFile]:
    """Write a layer into a temporary file, which is deleted at the end.

    Raises:
        BuildError: something can't be part of an image.
        OSError: a file can't be read or written.
    """
    with tempfile.NamedTemporaryFile(prefix="layer-") as file:
        written = write_layer(entries, folder, file, hides_below=hides_below)
        file.flush()
        yield LayerFile(NewLayer(written, created_by), Path(file.name))


async def pull_parent(
    client: RegistryClient, repository: Repository, digest: str, platform: str, logins: Sequence[Login]
) -> Parent:
    """Read what is needed of a parent image: not its layers.

    Raises:
        RegistryAwayError: the registry was away in all attempts.
        ImageError: the image can't be read.
        BuildError: it can't be a parent.
    """
    manifest = await with_retries(lambda: client.manifest(repository, digest, logins))
    if manifest.is_index:
        children = [(child.platform, child.digest) for child in manifest.children]
        chosen = choose_platform(children, platform, repository.at(digest))
        manifest = await with_retries(lambda: client.manifest(repository, chosen, logins))
    config = b""
    if manifest.config is not None:  # an index in an index has none
        name = manifest.config.digest
        config = await with_retries(lambda: client.blob(repository, name, logins, limit=_CONFIG_BYTES))
    image = read_parent(repository.at(manifest.digest), manifest.content, config, manifest.media_type, platform)
    return Parent(image, repository, logins)


async def push(
    uploader: RegistryUploader,
    client: RegistryClient,
    parent: Parent,
    layers: Sequence[LayerFile],
    changes: Changes,
    tag: str,
) -> Pushed:
    """Push an image of the parent's and the new layers.

    Args:
        uploader: uploads to the image's repository.
        client: reads layers of a parent from another registry.
        parent: the parent image.
        layers: the new layers.
        changes: the configuration of the image.
        tag: name of the build.

    Raises:
        RegistryAwayError: the registry was away in all attempts.
        ImageError: it refuses the image.
        LostLayerError: the repository does not have a layer that an earlier build has pushed.
        BuildError: the image would have too many layers.
    """
    existing = await with_retries(lambda: uploader.tagged(tag))
    if existing is not None:
        return Pushed(existing, was_there=True)
    image = extend(parent.image, [item.layer for item in layers], changes)
    pushed = Pushed(image.digest)
    for descriptor in parent.image.layers:
        await _take_over(uploader, client, parent, descriptor, pushed)
    for item in layers:
        await _add(uploader, item, pushed)
    await push_blob(uploader, image.config_digest, len(image.config), image.config, pushed)
    try:
        pushed.digest = await push_tag(uploader, image.manifest, image.media_type, tag)
    except ImageError:
        # The registry may have deleted a layer after it was asked for it. It refuses a manifest with layers it lacks.
        for item in layers:
            await _check_presence(uploader, item)
        raise
    return pushed


async def _add(uploader: RegistryUploader, item: LayerFile, pushed: Pushed) -> None:
    """Have a new layer in the repository."""
    if item.path is None:
        await _check_presence(uploader, item)
        pushed.known += 1
        return
    await push_blob(uploader, item.layer.written.digest, item.layer.written.size, partial(_open, item.path), pushed)


async def _check_presence(uploader: RegistryUploader, item: LayerFile) -> None:
    """Check that the repository has a layer that is in no file."""
    digest = item.layer.written.digest
    if item.path is None and not await with_retries(lambda: uploader.has_blob(digest)):
        raise LostLayerError(uploader.repository.name, digest)


async def _take_over(
    uploader: RegistryUploader,
    client: RegistryClient,
    parent: Parent,
    descriptor: Mapping[str, Any],
    pushed: Pushed,
) -> None:
    """Have a layer of the parent in the repository."""
    digest, size = str(descriptor["digest"]), int(descriptor["size"])
    if await with_retries(lambda: uploader.has_blob(digest)):
        pushed.known += 1
    elif await with_retries(lambda: uploader.mount_blob(digest)):
        pushed.mounted += 1
    else:
        with tempfile.NamedTemporaryFile(prefix="parent-") as file:
            await with_retries(lambda: _download(client, parent, digest, size, file))
            await push_blob(uploader, digest, size, partial(_open, Path(file.name)), pushed)
        pushed.copied += 1


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


async def _download(client: RegistryClient, parent: Parent, digest: str, size: int, file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()
    try:
        await client.download(parent.repository, digest, parent.logins, file, limit=size)
    except ImageError as error:
        raise BuildError(BuildProblem.PARENT_REFUSED, error.summary, error.advice) from error
    file.flush()


async def push_blob(
    uploader: RegistryUploader, digest: str, size: int, content: bytes | Callable[[], IO[bytes]], pushed: Pushed
) -> None:
    """Upload a blob, unless it is there."""

    async def attempt() -> bool:
        if await uploader.has_blob(digest):
            return False
        await uploader.upload_blob(digest, content)
        return True

    if await with_retries(attempt):
        pushed.sent_bytes += size
    else:
        pushed.known += 1


async def push_tag(uploader: RegistryUploader, manifest: bytes, media_type: str, tag: str) -> str:
    """Upload the manifest. Returns the digest that the tag means then."""

    async def attempt() -> str:
        # Another build of the same input may have been faster.
        return await uploader.tagged(tag) or await uploader.put_manifest(tag, manifest, media_type)

    try:
        return await with_retries(attempt)
    except ImageError:
        # A registry with immutable tags refuses it, if another build has pushed in between.
        existing = await with_retries(lambda: uploader.tagged(tag))
        if existing is None:
            raise
        return existing
