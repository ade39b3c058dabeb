"""A cluster that somebody else runs. We use it without changing its setup."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dev.cluster import commands, connection, kind, paths
from dev.cluster.build import builds
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say, step
from dev.cluster.stores import minio as store
from dev.cluster.stores import seaweedfs as lake

STORE_VARIABLES = (
    "STORE_ENDPOINT",
    "STORE_ACCESS_KEY",
    "STORE_SECRET_KEY",
    "STORE_BUCKET",
    "CATALOG_URI",
    "CATALOG_WAREHOUSE",
)
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Images:
    """How images reach the cluster's nodes. At least one field is set; if both are, the registry is used."""

    registry: str | None
    load_command: str | None


def images(environment: Mapping[str, str]) -> Images:
    """Read IMAGE_REGISTRY and IMAGE_LOAD_COMMAND."""
    registry = environment.get("IMAGE_REGISTRY", "").rstrip("/") or None
    command = environment.get("IMAGE_LOAD_COMMAND") or (kind.load_command() if kind.is_chosen(environment) else None)
    if registry is None and command is None:
        raise ClusterError(
            "KUBECONFIG names a cluster that isn't ours, and nothing says how images get there",
            hint="set IMAGE_REGISTRY=host:port (its nodes must be able to pull from it), or"
            " IMAGE_LOAD_COMMAND='kind load image-archive {archive}'; or unset KUBECONFIG to use a cluster of our own",
        )
    if registry is not None and "://" in registry:
        raise ClusterError(
            f"IMAGE_REGISTRY is a prefix of image names, not a URL: `{registry}`", hint="leave out http://"
        )
    if command is not None and "{archive}" not in command:
        raise ClusterError(
            f"IMAGE_LOAD_COMMAND has no {{archive}} in it: `{command}`", hint="put it where the file goes"
        )
    return Images(registry, command)


def given_store(environment: Mapping[str, str]) -> lake.Lake | None:
    """The store and catalog described by STORE_ENDPOINT and related variables; None if none of them is set.

    The catalog's client defaults to the keys of the store, as in SeaweedFS.

    Raises:
        ClusterError: only some of the required variables are set.
    """
    missing = [name for name in STORE_VARIABLES if not environment.get(name)]
    if len(missing) == len(STORE_VARIABLES):
        return None
    if missing:
        raise ClusterError(
            f"some of {', '.join(STORE_VARIABLES)} are set, but {', '.join(missing)} missing",
            hint="set all of them, or none",
        )
    return lake.Lake(
        endpoint=_url(environment, "STORE_ENDPOINT"),
        access_key=environment["STORE_ACCESS_KEY"],
        secret_key=environment["STORE_SECRET_KEY"],
        bucket=environment["STORE_BUCKET"],
        region=environment.get("STORE_REGION") or DEFAULT_REGION,
        catalog_uri=_url(environment, "CATALOG_URI"),
        catalog_warehouse=environment["CATALOG_WAREHOUSE"],
        catalog_client_id=environment.get("CATALOG_CLIENT_ID") or environment["STORE_ACCESS_KEY"],
        catalog_client_secret=environment.get("CATALOG_CLIENT_SECRET") or environment["STORE_SECRET_KEY"],
    )


def _url(environment: Mapping[str, str], name: str) -> str:
    url = environment[name].rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise ClusterError(f"{name} is `{url}`, expected a URL", hint="put http:// or https:// before it")
    return url


def up(kubeconfig: Path) -> connection.Connection:
    """Check that the cluster answers, start our SeaweedFS if no store is given, and save the connection."""
    image_access = images(os.environ)
    _bring_programs()
    with step(f"looking at the cluster of {kubeconfig}"):
        node = _first_node(kubeconfig)
    lake_access = given_store(os.environ) or lake.up()
    result = connection.Connection(
        kubeconfig=kubeconfig,
        registry=image_access.registry,
        image_load_command=image_access.load_command,
        bin_dir=paths.links(),
        logs=paths.logs(),
        own=False,
        node_name=node,
        **connection.reaching(lake_access),
    )
    connection.save(result)
    say("this cluster is not ours: `down` will leave it as it is")
    return result


def down() -> bool:
    """Delete the saved connection, and stop our stores unless our own cluster uses them."""
    is_known = paths.stranger().exists()
    if is_known:
        shutil.rmtree(paths.stranger())
    if paths.own_kubeconfig().exists():
        say("our own cluster is up and uses the stores of this machine, so these stay")
        return is_known
    results = [store.down(), lake.down()]
    return any(results) or is_known


def problem(kubeconfig: Path) -> str | None:
    """The error of the API server; None if it is healthy."""
    try:
        _kubectl(kubeconfig, "get", "--raw", "/readyz")
    except ClusterError as error:
        return str(error)
    return None


def _bring_programs() -> None:
    """Install kubectl and helm unless they exist. Benchmarks build s5cmd themselves."""
    tools = [name for name in ("kubectl", "helm") if shutil.which(name) is None and not (paths.links() / name).exists()]
    if tools:
        builds.build(tools)


def _first_node(kubeconfig: Path) -> str:
    nodes = json.loads(_kubectl(kubeconfig, "get", "nodes", "-o", "json"))["items"]
    if not nodes:
        raise ClusterError(f"the cluster of {kubeconfig} has no nodes", hint="pods need at least one")
    return str(nodes[0]["metadata"]["name"])


def _kubectl(kubeconfig: Path, *arguments: str) -> str:
    path = paths.links() / "kubectl"
    program = path if path.exists() else Path("kubectl")
    hint = f"does `kubectl --kubeconfig {kubeconfig} get nodes` work?"
    return commands.run([program, "--kubeconfig", kubeconfig, "--request-timeout=20s", *arguments], hint=hint)
