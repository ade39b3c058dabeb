"""Build what changed, deliver what is missing."""

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
    """Make sure that the cluster can run the images; returns the reference of each, e.g. for a pod's spec.

    Raises:
        ClusterError: there is no such image, or a build or push failed.
    """
    return _all(connection, delivery.prefix(connection), names)


def build(names: Iterable[str] = tuple(IMAGES), prefix: str = delivery.LOCAL) -> dict[str, str]:
    """Build the images without a cluster; returns the reference that each has in the engine's own store.

    Args:
        names: the images.
        prefix: what comes before an image's name, if a later `ensure` is to find it.
    """
    return _all(None, prefix, names)


def ensure_one(connection: Connection, image: Image) -> str:
    """The same for an image that is not in the catalogue, such as one of a benchmark; returns its reference."""
    engine = engines.find()
    with paths.lock("images"):
        return _one(engine, connection, delivery.prefix(connection), image)


def _all(connection: Connection | None, prefix: str, names: Iterable[str]) -> dict[str, str]:
    wanted = list(names)
    unknown = [name for name in wanted if name not in IMAGES]
    if unknown:
        raise ClusterError(f"there is no image {', '.join(unknown)}", hint=f"there are: {', '.join(IMAGES)}")
    engine = engines.find()
    with paths.lock("images"):
        references = {name: _one(engine, connection, prefix, IMAGES[name]) for name in wanted}
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
