"""How to reach the cluster, its store and its catalog, as recorded by `up` for tests, benchmarks and examples."""

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from dev.cluster import kind, paths
from dev.cluster.errors import ClusterError
from dev.cluster.stores.seaweedfs import Lake

UP = "python -m dev.cluster up"


@dataclass(frozen=True)
class Connection:
    """A cluster, its image store, and its object store with an Iceberg REST catalog.

    Attributes:
        kubeconfig: the administrator's kubeconfig.
        registry: prefix of image names (host:port or host/path) that works for pushes from this machine and pulls by
            the nodes; None if images are delivered with `image_load_command`.
        image_load_command: a command with the placeholder `{archive}` for the path of an image archive.
        store_endpoint: URL of the object store, valid on this machine and in pods.
        store_access_key: a user with full access to `store_bucket` and the catalog's tables.
        catalog_uri: URL of the Iceberg REST catalog, valid on this machine and in pods.
        catalog_warehouse: name of the warehouse in the catalog.
        catalog_client_id: OAuth2 client of the catalog.
        bin_dir: folder with kubectl, helm and other built programs, to be put first on PATH.
        logs: folder with one log file for each part.
        own: whether this is our own cluster, which tests may break (stop parts, fill the disk), or somebody else's.
        node_name: name of a node. Our own cluster has only one.
    """

    kubeconfig: Path
    registry: str | None
    image_load_command: str | None
    store_endpoint: str
    store_access_key: str
    store_secret_key: str
    store_bucket: str
    store_region: str
    catalog_uri: str
    catalog_warehouse: str
    catalog_client_id: str
    catalog_client_secret: str
    bin_dir: Path
    logs: Path
    own: bool
    node_name: str

    @property
    def lake(self) -> Lake:
        """The store and its catalog."""
        return Lake(
            endpoint=self.store_endpoint,
            access_key=self.store_access_key,
            secret_key=self.store_secret_key,
            bucket=self.store_bucket,
            region=self.store_region,
            catalog_uri=self.catalog_uri,
            catalog_warehouse=self.catalog_warehouse,
            catalog_client_id=self.catalog_client_id,
            catalog_client_secret=self.catalog_client_secret,
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, default=str) + "\n"


def reaching(lake: Lake) -> dict[str, str]:
    """The fields of a `Connection` that describe how to reach its store and its catalog."""
    return {
        "store_endpoint": lake.endpoint,
        "store_access_key": lake.access_key,
        "store_secret_key": lake.secret_key,
        "store_bucket": lake.bucket,
        "store_region": lake.region,
        "catalog_uri": lake.catalog_uri,
        "catalog_warehouse": lake.catalog_warehouse,
        "catalog_client_id": lake.catalog_client_id,
        "catalog_client_secret": lake.catalog_client_secret,
    }


def stranger_kubeconfig(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The kubeconfig of somebody else's cluster, if KUBECONFIG or CLUSTER names one; None means our own cluster."""
    if kind.is_chosen(environment):
        return kind.kubeconfig()
    value = environment.get("KUBECONFIG", "")
    if not value:
        return None
    if os.pathsep in value:
        raise ClusterError(
            f"KUBECONFIG names several files ({value}); one is expected",
            hint="`kubectl config view --raw --minify > one.kubeconfig`, then KUBECONFIG=one.kubeconfig",
        )
    file = Path(value).absolute()
    if file.resolve() == paths.own_kubeconfig().resolve():
        return None
    if not file.is_file():
        raise ClusterError(f"KUBECONFIG names {file}, and there is no such file", hint="correct it, or unset it")
    return file


def file_of(stranger: Path | None) -> Path:
    """The file that stores the connection to our own cluster or to somebody else's."""
    return (paths.cluster() if stranger is None else paths.stranger()) / "connection.json"


def save(connection: Connection) -> None:
    """Save the connection for `load`. Only the owner can read the file, because it contains keys."""
    paths.write_private(file_of(None if connection.own else connection.kubeconfig), connection.to_json())


def load(environment: Mapping[str, str] = os.environ) -> Connection:
    """The connection to the cluster that KUBECONFIG names, or to our own.

    Raises:
        ClusterError: `up` was not run for this cluster.
    """
    stranger = stranger_kubeconfig(environment)
    file = file_of(stranger)
    title = f"the cluster of {stranger}" if stranger else "our own cluster"
    try:
        values = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise ClusterError(f"nothing is known about {title}: there is no {file}", hint=f"run `{UP}` first") from error
    connection = parse(values, file)
    if stranger is not None and connection.kubeconfig != stranger:
        raise ClusterError(
            f"{file} tells of {connection.kubeconfig}, KUBECONFIG names {stranger}", hint=f"run `{UP}` again"
        )
    return connection


def parse(values: Mapping[str, object], file: Path) -> Connection:
    """Convert a decoded connection.json to a connection."""
    names = {field.name for field in fields(Connection)}
    if set(values) != names:
        differences = sorted(names.symmetric_difference(values))
        raise ClusterError(
            f"{file} was written by another version: it has too many or too few of {differences}", hint=f"`{UP}`"
        )
    folders = {name: Path(str(values[name])) for name in ("kubeconfig", "bin_dir", "logs")}
    return Connection(**{**values, **folders})  # type: ignore[arg-type]  # of any type


def exports(connection: Connection, environment: Mapping[str, str] = os.environ) -> str:
    """Shell lines for `eval`."""
    lines = [
        f"export KUBECONFIG={shlex.quote(str(connection.kubeconfig))}",
        f"export PATH={shlex.quote(str(connection.bin_dir))}:$PATH",
    ]
    if any(environment.get(name) for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")):
        urls = (connection.store_endpoint, connection.catalog_uri)
        hosts = [host for url in urls if (host := urlsplit(url).hostname)]
        direct = shlex.quote(",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost"])))
        lines.append(f"export NO_PROXY={direct},$NO_PROXY no_proxy={direct},$no_proxy")
    return "\n".join(lines)
