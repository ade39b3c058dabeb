"""The configuration and the manifest of an image on top of its parent.

https://github.com/opencontainers/image-spec
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.core.builds.errors import BuildError, BuildProblem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.core.builds.identity import Variables
    from componentrun.core.builds.layer import Written

__all__ = ["MOST_LAYERS", "Changes", "Image", "NewLayer", "ParentImage", "choose_platform", "extend", "read_parent"]

MOST_LAYERS: Final = 127
"""What container runtimes with overlay file systems can mount."""
_EPOCH: Final = "1970-01-01T00:00:00Z"
_DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
_OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPES: Final = {
    _DOCKER_MANIFEST: "application/vnd.docker.container.image.v1+json",
    _OCI_MANIFEST: "application/vnd.oci.image.config.v1+json",
}
_LAYER_TYPES: Final = {
    _DOCKER_MANIFEST: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    _OCI_MANIFEST: "application/vnd.oci.image.layer.v1.tar+gzip",
}
_INHERITED: Final = frozenset(
    {"architecture", "os", "os.version", "os.features", "variant", "config", "rootfs", "history"}
)
"""Parts of a parent's configuration that an image has as well. Docker adds traces of its own builds."""
_NOT_INHERITED: Final = frozenset({"Hostname", "Domainname", "Image", "OnBuild", "ArgsEscaped"})
"""Values of Docker's own builds. `OnBuild` is for Dockerfiles."""


@dataclass(frozen=True, slots=True)
class ParentImage:
    """An image for one platform, checked."""

    name: str
    """The image with its digest."""
    media_type: str
    layers: tuple[Mapping[str, Any], ...]
    """Descriptors, unchanged."""
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A layer to add."""

    written: Written
    created_by: str
    """What it is, for the history."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What the new image has differently from its parent."""

    entrypoint: tuple[str, ...]
    working_dir: str
    environment: Variables = ()
    labels: Variables = ()


@dataclass(frozen=True, slots=True)
class Image:
    """A configuration and a manifest, ready to upload."""

    config: bytes
    config_digest: str
    manifest: bytes
    media_type: str
    digest: str
    """Digest of the manifest: what runs name."""


def choose_platform(children: Sequence[tuple[str, str]], platform: str, image: str) -> str:
    """The digest of the manifest for a platform.

    Args:
        children: platform (`os/architecture`; empty if it is not given) and digest of each manifest of an index.
        platform: the platform that is needed.
        image: name of the index, for messages.

    Raises:
        BuildError: the image is not there for this platform.
    """
    for there, digest in children:
        if there == platform:
            return digest
    known = sorted({there for there, _ in children if there and "unknown" not in there})
    raise BuildError(
        BuildProblem.UNUSABLE_PARENT,
        f"parent image `{image}` is there for {', '.join(known) or 'no platform'}, and the build needs {platform}",
        "Choose a parent image for this platform.",
    )


def read_parent(name: str, manifest: bytes, config: bytes, media_type: str, platform: str) -> ParentImage:
    """Check an image that is to be a parent.

    Args:
        name: the image with its digest.
        manifest: its manifest, whose digest was verified.
        config: its configuration, whose digest was verified.
        media_type: media type with which the registry delivered the manifest.
        platform: the platform that is needed.

    Raises:
        BuildError: it is no image of a container, or for another platform.
    """
    try:
        content, settings = json.loads(manifest), json.loads(config)
        kind = str(content.get("mediaType") or media_type)
        layers = tuple(content["layers"])
        diff_ids = settings["rootfs"]["diff_ids"]
        _check_types(layers, settings)
        there = f"{settings['os']}/{settings['architecture']}"
        is_image = len(layers) == len(diff_ids) and kind in _CONFIG_TYPES and content["config"]["digest"]
        is_plain = all(not layer.get("urls") for layer in layers)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _unusable(name, "its manifest or its configuration is not that of an image") from None
    if not is_image:
        raise _unusable(name, "its manifest and its configuration do not fit together")
    if not is_plain:
        raise _unusable(name, "it has layers that may not be stored in other registries")
    if there != platform:
        choose_platform([(there, "")], platform, name)
    return ParentImage(name, kind, layers, settings)


def _check_types(layers: Sequence[Any], settings: Mapping[str, Any]) -> None:
    """Check the types of everything that `extend` and the upload read: a parent comes from whoever pushed it.

    Raises:
        TypeError: something has another type than the specification says.
        ValueError: a text is not Unicode, which JSON can express and UTF-8 can't.
    """
    inherited = settings.get("config") or {}
    labels = inherited.get("Labels") or {}
    history = settings.get("history") or []
    fits = (
        all(isinstance(layer["digest"], str) and _is_size(layer["size"]) for layer in layers),
        _is_list_of(settings["rootfs"]["diff_ids"], str),
        _is_list_of(inherited.get("Env") or [], str),
        isinstance(labels, dict) and _is_list_of(list(labels.values()), str),
        _is_list_of(history, dict),
    )
    if not all(fits):
        raise TypeError("a part of the image has another type than expected")
    _dump(settings)
    _dump({"layers": layers})


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _unusable(name: str, why: str) -> BuildError:
    return BuildError(
        BuildProblem.UNUSABLE_PARENT, f"parent image `{name}` can't be used: {why}", "Choose another parent image."
    )


def extend(parent: ParentImage, layers: Sequence[NewLayer], changes: Changes) -> Image:
    """The image with more layers.

    Raises:
        BuildError: it would have too many layers.
    """
    count = len(parent.layers) + len(layers)
    if count > MOST_LAYERS:
        raise BuildError(
            BuildProblem.TOO_MANY_LAYERS,
            f"parent image `{parent.name}` has {len(parent.layers)} layers; with those of the build the image would "
            f"have {count}, and container runtimes can use {MOST_LAYERS}",
            "Choose a parent image with fewer layers.",
        )
    config = _dump(_config(parent, layers, changes))
    config_digest = _digest(config)
    layer_type = _LAYER_TYPES[parent.media_type]
    added = [{"mediaType": layer_type, "digest": layer.written.digest, "size": layer.written.size} for layer in layers]
    manifest = _dump(
        {
            "schemaVersion": 2,
            "mediaType": parent.media_type,
            "config": {"mediaType": _CONFIG_TYPES[parent.media_type], "digest": config_digest, "size": len(config)},
            "layers": [*parent.layers, *added],
        }
    )
    return Image(config, config_digest, manifest, parent.media_type, _digest(manifest))


def _config(parent: ParentImage, layers: Sequence[NewLayer], changes: Changes) -> dict[str, Any]:
    inherited = {key: value for key, value in parent.config.items() if key in _INHERITED}
    rootfs = parent.config["rootfs"]
    diff_ids = [*rootfs["diff_ids"], *(layer.written.diff_id for layer in layers)]
    config = {
        **inherited,
        "created": _EPOCH,
        "config": _settings(parent.config.get("config") or {}, changes),
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    history = list(parent.config.get("history") or ())
    described = [item for item in history if not item.get("empty_layer")]
    # A history that does not fit its layers makes some tools fail; one that is missing does not.
    config.pop("history", None)
    if len(described) == len(parent.layers):
        config["history"] = [*history, *({"created": _EPOCH, "created_by": layer.created_by} for layer in layers)]
    return config


def _settings(inherited: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    settings = {key: value for key, value in inherited.items() if key not in _NOT_INHERITED}
    variables = dict(str(item).partition("=")[::2] for item in settings.get("Env") or ())
    variables |= dict(sorted(changes.environment))
    labels = {**(settings.get("Labels") or {}), **dict(sorted(changes.labels))}
    settings["Env"] = [f"{name}={value}" for name, value in variables.items()]
    settings["Labels"] = labels
    settings["Entrypoint"] = list(changes.entrypoint)
    settings["WorkingDir"] = changes.working_dir
    settings.pop("Cmd", None)  # arguments for the parent's own program
    return {key: value for key, value in settings.items() if value not in ({}, [])}


def _dump(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
