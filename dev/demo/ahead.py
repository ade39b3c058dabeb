"""Build the images while the cluster is being built: downloads and compilers use different resources."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from subprocess import TimeoutExpired

from dev import images
from dev.cluster import connection, layout, progress, stranger
from dev.cluster.build import builds
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say
from dev.images import base, delivery


def expect() -> None:
    """Announce all parts of the demo, so that the remaining time can be estimated."""
    tools = builds.missing() if connection.stranger_kubeconfig() is None else []
    image_parts = [] if base.is_made() else ["base image", "images"]
    progress.expect([*tools, *image_parts, "cluster", "operator", "example"])


@contextmanager
def built(names: Sequence[str]) -> Iterator[None]:
    """Build the images in the background during the block, and wait for them at its end unless the block fails.

    A failed build is only reported. The images are built again when they are needed, and a failure is an error then.
    """
    building = threading.Thread(target=_build, args=(names,), name="images", daemon=True)
    building.start()
    yield
    building.join()


def _build(names: Sequence[str]) -> None:
    try:
        images.build(names, _prefix())
    except (ClusterError, TimeoutExpired) as error:
        say(f"note: the images could not be built yet and are tried again later: {error}")


def _prefix() -> str:
    """Prefix of the image names that applies when the cluster is up."""
    if connection.stranger_kubeconfig() is None:
        return layout.registry()
    return stranger.images(os.environ).registry or delivery.LOCAL
