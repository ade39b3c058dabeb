"""The steps before and after BuildKit builds a Dockerfile.

What lies in the folder of the image was written by other people's code. Its files are read only if they are in this
folder, and what is pushed has the digest by which the manifest names it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from componentrun.builder.publishing import refused_as
from componentrun.builder.pushing import Pushed, push_blob, push_tag
from componentrun.builder.retrying import with_git_retries, with_retries
from componentrun.core.builds.dockerfile import client_script, dockerfile_script
from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.exchange import AUTHORITIES_FILE, CONTROL_MOUNT, IMAGE_MOUNT, SCRIPT_FILE
from componentrun.core.builds.image import MOST_LAYERS
from componentrun.core.builds.source import parse_git_url
from componentrun.core.images.pullsecrets import logins_for
from componentrun.core.images.reference import DIGEST, parse_repository
from componentrun.git.fetch import fetch
from componentrun.registry.upload import RegistryUploader

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

    from componentrun.builder.settings import BuilderSettings
    from componentrun.core.builds.identity import BuildInputs
    from componentrun.core.builds.login import HttpsLogin, SshLogin
    from componentrun.core.images.pullsecrets import PullSecret
    from componentrun.git.checkout import CheckedOut
    from componentrun.registry.settings import RegistrySettings

__all__ = ["Blob", "Layout", "prepare_dockerfile", "publish_layout", "read_layout"]

_LABEL_PREFIX: Final = "org.opencontainers.image."
_MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
_LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"
_DOCUMENT_BYTES: Final = 4 * 2**20
"""Maximum size of an index, a manifest or a configuration."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of an image."""

    digest: str
    size: int
    path: Path


@dataclass(frozen=True, slots=True)
class Layout:
    """An image in a folder, as https://github.com/opencontainers/image-spec/blob/main/image-layout.md."""

    manifest: bytes
    digest: str
    blobs: tuple[Blob, ...]
    """Layers and configuration."""


def prepare_dockerfile(
    inputs: BuildInputs,
    login: HttpsLogin | SshLogin | None,
    code: Path,
    control: Path,
    home: str,
    settings: BuilderSettings,
) -> CheckedOut:
    """Fetch the repository, and write the script that builds its Dockerfile.

    Args:
        inputs: everything that goes into the build.
        login: how to log in to the git host.
        code: an empty folder, which BuildKit has as `inputs.folder`.
        control: an empty folder for the script.
        home: a folder for the state of BuildKit.
        settings: how to reach git hosts, and the registries with the images that the Dockerfile names.

    Raises:
        BuildError: the repository can't be read, or has no such Dockerfile.
        GitAwayError: the host can't answer now.
        OSError: a folder can't be written.
    """
    url = parse_git_url(inputs.url, "url")
    fetched = with_git_retries(lambda: fetch(url, inputs.commit, inputs.context_dir, code, login, settings.git))
    if inputs.dockerfile not in fetched.files:
        folder = f"folder `{inputs.context_dir}` of the repository" if inputs.context_dir else "the repository"
        raise BuildError(
            BuildProblem.NO_CONVENTION,
            f"{folder} has no file `{inputs.dockerfile}`",
            "Correct `dockerfile` or `contextDir`.",
        )
    labels = ((f"{_LABEL_PREFIX}revision", inputs.commit), (f"{_LABEL_PREFIX}source", inputs.url))
    plain_http = sorted(settings.registry.plain_http)
    if settings.builder is None:
        script = dockerfile_script(inputs, home, IMAGE_MOUNT, CONTROL_MOUNT, labels, plain_http)
    else:
        script = client_script(inputs, home, IMAGE_MOUNT, settings.builder, labels)
    (control / SCRIPT_FILE).write_text(script)
    if settings.registry.ca_bundle:
        (control / AUTHORITIES_FILE).write_text(settings.registry.ca_bundle)
    return fetched


async def publish_layout(
    inputs: BuildInputs, pushes: list[PullSecret], image: Path, settings: RegistrySettings
) -> Pushed:
    """Push the image that BuildKit has made.

    Args:
        inputs: everything that goes into the build.
        pushes: logins for the target.
        image: the folder with the image.
        settings: how to reach registries.

    Raises:
        BuildError: the folder has no image that can be pushed, or the registry refuses it.
        RegistryAwayError: the registry was away in all attempts.
        OSError: a file can't be read.
    """
    layout = read_layout(image, inputs.platform)
    target = parse_repository(inputs.target, "target")
    logins = logins_for(target, pushes)
    async with RegistryUploader(settings, target, logins[0] if logins else None) as uploader:
        with refused_as(BuildProblem.PUSH_REFUSED):
            existing = await with_retries(lambda: uploader.tagged(inputs.name))
            if existing is not None:
                return Pushed(existing, was_there=True)
            pushed = Pushed(layout.digest)
            for blob in layout.blobs:
                await push_blob(uploader, blob.digest, blob.size, partial(_open, blob.path), pushed)
            pushed.digest = await push_tag(uploader, layout.manifest, _MANIFEST_TYPE, inputs.name)
            return pushed


def read_layout(folder: Path, platform: str) -> Layout:
    """Read and check an image in a folder.

    Raises:
        BuildError: it is not one image for this platform, or has too many layers.
        OSError: a file can't be read.
    """
    try:
        (entry,) = json.loads(_document(folder, "index.json"))["manifests"]
        manifest = _document(folder, _name(entry), str(entry["digest"]))
        content = json.loads(manifest)
        layers = content["layers"]
        blobs = tuple(_blob(folder, item) for item in (*layers, content["config"]))
        config = json.loads(_document(folder, _name(content["config"]), blobs[-1].digest))
        there = f"{config['os']}/{config['architecture']}"
        is_image = content["mediaType"] == _MANIFEST_TYPE and all(
            str(item["mediaType"]).startswith(_LAYER_TYPE) and not item.get("urls") for item in layers
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _unusable("what BuildKit left is not an image") from None
    if not is_image:
        raise _unusable("what BuildKit left is not an OCI image, or has layers that may not be pushed")
    if there != platform:
        raise _unusable(f"the image is for {there[:100]}; expected {platform}")
    if len(layers) > MOST_LAYERS:
        raise _unusable(f"the image has {len(layers)} layers, and container runtimes can use {MOST_LAYERS}")
    return Layout(manifest, str(entry["digest"]), blobs)


def _unusable(summary: str) -> BuildError:
    return BuildError(BuildProblem.SPECIAL_FILE, summary, "Look at the Dockerfile and at the log of the build.")


def _name(descriptor: dict[str, Any]) -> str:
    digest = str(descriptor["digest"])
    if not DIGEST.fullmatch(digest):
        raise ValueError("not a digest")
    return f"blobs/{digest.replace(':', '/')}"


def _blob(folder: Path, descriptor: dict[str, Any]) -> Blob:
    """A file with the size and the digest that a manifest names."""
    path = _inside(folder, _name(descriptor))
    with _open(path) as file:
        digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        size = file.tell()
    if (digest, size) != (descriptor["digest"], descriptor["size"]):
        raise ValueError("another content")
    return Blob(digest, size, path)


def _document(folder: Path, name: str, digest: str | None = None) -> bytes:
    with _open(_inside(folder, name)) as file:
        content = file.read(_DOCUMENT_BYTES + 1)
    if len(content) > _DOCUMENT_BYTES or digest not in {None, f"sha256:{hashlib.sha256(content).hexdigest()}"}:
        raise ValueError("too large, or another content")
    return content


def _inside(folder: Path, name: str) -> Path:
    """The path of a file that no link leads to."""
    path = folder / name
    if path.resolve() != folder.resolve() / name or not path.is_file():
        raise ValueError("not a file in the folder")
    return path


def _open(path: Path) -> BufferedReader:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")
