"""Build changed images and deliver missing ones."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from dev.cluster import paths, progress
from dev.cluster.connection import Connection
from dev.cluster.errors import ClusterError
from dev.cluster.progress import step
from dev.images import delivery, engines, staging
from dev.images.catalogue import IMAGES, Image


def ensure(connection: Connection, names: Iterable[str] = tuple(IMAGES)) -> dict[str, str]:
    """Make sure that the cluster can run the images, and return their references by name, e.g. for a pod's spec.

    Raises:
        ClusterError: an image does not exist in the catalogue, or a build or push failed.
    """
    return _all(connection, delivery.prefix(connection), names)


def build(names: Iterable[str] = tuple(IMAGES), prefix: str = delivery.LOCAL) -> dict[str, str]:
    """Build the images without a cluster, and return their references in the engine's own store.

    Args:
        names: the images.
        prefix: prefix of the image names, so that a later `ensure` finds the images.
    """
    return _all(None, prefix, names)


def ensure_one(connection: Connection, image: Image) -> str:
    """Make sure that the cluster can run an image, which need not be in the catalogue, and return its reference."""
    engine = engines.find()
    with paths.lock("images"):
        return _one(engine, connection, delivery.prefix(connection), image)


def _all(connection: Connection | None, prefix: str, names: Iterable[str]) -> dict[str, str]:
    requested = list(names)
    unknown = [name for name in requested if name not in IMAGES]
    if unknown:
        raise ClusterError(f"there is no image {', '.join(unknown)}", hint=f"there are: {', '.join(IMAGES)}")
    engine = engines.find()
    with paths.lock("images"):
        references = {name: _one(engine, connection, prefix, IMAGES[name]) for name in requested}
    progress.finished("images")
    return references


def _one(engine: engines.Engine, connection: Connection | None, prefix: str, image: Image) -> str:
    with tempfile.TemporaryDirectory(prefix="componentrun-build-") as folder:
        tag = staging.stage(image, Path(folder), engine.ingredients())
        reference = f"{prefix}/{image.name}:{tag}"
        if connection is not None and delivery.delivered(connection, reference):
            return reference
        if not engine.has(reference):
            with step(f"building image {image.name}"):
                engine.build(Path(folder), reference, image.target)
    if connection is not None:
        with step(f"bringing image {image.name} to the cluster"):
            delivery.deliver(connection, engine, reference)
    return reference
