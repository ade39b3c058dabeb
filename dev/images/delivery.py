"""Deliver images to the nodes, through a registry or with the cluster's load command."""

import shlex
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from dev.cluster import commands, paths
from dev.cluster.connection import Connection
from dev.cluster.errors import ClusterError
from dev.images.engines import Engine

LOCAL = "localhost/componentrun"
"""Name prefix of images that are not pushed: built without a cluster, or delivered with a load command."""
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


def prefix(connection: Connection) -> str:
    """Prefix of image references."""
    return LOCAL if connection.registry is None else connection.registry


def delivered(connection: Connection, reference: str) -> bool:
    """Whether the image has already been delivered."""
    if connection.registry is None:
        return _marker(connection, reference).is_file()
    return _in_registry(reference)


def deliver(connection: Connection, engine: Engine, reference: str) -> None:
    """Deliver the image to the registry or to the nodes.

    Raises:
        ClusterError: the cluster has neither a registry nor a load command, or the push failed.
    """
    if connection.registry is not None:
        engine.push(reference)
        return
    if connection.image_load_command is None:
        raise ClusterError(
            f"the cluster of {connection.kubeconfig} has neither a registry nor an image load command",
            hint="see `python -m dev.cluster up --help` for the variables that name them",
        )
    with tempfile.TemporaryDirectory(prefix="componentrun-image-") as folder:
        archive = Path(folder) / "image.tar"
        engine.save(reference, archive)
        words = [word.replace("{archive}", str(archive)) for word in shlex.split(connection.image_load_command)]
        commands.run(words, timeout=600)
    _marker(connection, reference).touch()


def _marker(connection: Connection, reference: str) -> Path:
    """File in the cluster's logs folder that marks an image as loaded, because most clusters can't be queried."""
    name = reference.rpartition("/")[2].replace(":", "-")
    uid = commands.run(
        ["kubectl", "get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}"],
        env={"KUBECONFIG": str(connection.kubeconfig), "PATH": f"{connection.bin_dir}:/usr/local/bin:/usr/bin:/bin"},
    )
    folder = paths.home() / "images" / f"loaded-{uid}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _in_registry(reference: str) -> bool:
    host, _, path = reference.partition("/")
    name, _, tag = path.rpartition(":")
    for scheme in ("http", "https"):
        request = urllib.request.Request(  # noqa: S310 - the scheme is one of two
            f"{scheme}://{host}/v2/{name}/manifests/{tag}", method="HEAD", headers={"Accept": ", ".join(_MANIFESTS)}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=5):
                return True
        except urllib.error.HTTPError:
            return False
        except OSError:
            continue
    return False
