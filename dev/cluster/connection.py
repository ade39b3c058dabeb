"""How to reach the cluster, its store and its catalog: what `up` found out, for tests, benchmarks and examples."""

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
        kubeconfig: file with the administrator's access.
        registry: prefix of image names (host:port or host/path) that a push from here and a pull by the nodes both
            understand; None where images are brought in by `image_load_command`.
        image_load_command: a command with `{archive}` where the path of an image archive goes.
        store_endpoint: URL of the object store that works from here and from pods.
        store_access_key: a user that may do anything with `store_bucket` and the catalog's tables.
        catalog_uri: URL of the Iceberg REST catalog that works from here and from pods.
        catalog_warehouse: name of the warehouse in the catalog.
        catalog_client_id: OAuth2 client of the catalog.
        bin_dir: folder with kubectl, helm and what else was built, to be put first on PATH.
        logs: folder with a log file for each part.
        own: whether the cluster is ours to break (stop parts, fill the disk) or a stranger's.
        node_name: name of a node; of ours, the only one.
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


def reaching(known: Lake) -> dict[str, str]:
    """The fields of a `Connection` that say how to reach its store and its catalog."""
    return {
        "store_endpoint": known.endpoint,
        "store_access_key": known.access_key,
        "store_secret_key": known.secret_key,
        "store_bucket": known.bucket,
        "store_region": known.region,
        "catalog_uri": known.catalog_uri,
        "catalog_warehouse": known.catalog_warehouse,
        "catalog_client_id": known.catalog_client_id,
        "catalog_client_secret": known.catalog_client_secret,
    }


def stranger_kubeconfig(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The kubeconfig of a stranger's cluster, if KUBECONFIG or CLUSTER names one; None means our own cluster."""
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
    """Where the connection to our own cluster, or to the stranger's, is kept."""
    return (paths.cluster() if stranger is None else paths.stranger()) / "connection.json"


def save(connection: Connection) -> None:
    """Keep it for `load`, readable by its owner only: it holds keys."""
    paths.write_private(file_of(None if connection.own else connection.kubeconfig), connection.to_json())


def load(environment: Mapping[str, str] = os.environ) -> Connection:
    """The connection to the cluster that KUBECONFIG names, or to our own.

    Raises:
        ClusterError: `up` was not run for it.
    """
    stranger = stranger_kubeconfig(environment)
    file = file_of(stranger)
    which = f"the cluster of {stranger}" if stranger else "our own cluster"
    try:
        values = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise ClusterError(f"nothing is known about {which}: there is no {file}", hint=f"run `{UP}` first") from error
    found = parse(values, file)
    if stranger is not None and found.kubeconfig != stranger:
        raise ClusterError(f"{file} tells of {found.kubeconfig}, KUBECONFIG names {stranger}", hint=f"run `{UP}` again")
    return found


def parse(values: Mapping[str, object], file: Path) -> Connection:
    """The connection in a decoded connection.json."""
    wanted = {field.name for field in fields(Connection)}
    if set(values) != wanted:
        odd = sorted(wanted.symmetric_difference(values))
        raise ClusterError(
            f"{file} was written by another version: it has too many or too few of {odd}", hint=f"`{UP}`"
        )
    folders = {name: Path(str(values[name])) for name in ("kubeconfig", "bin_dir", "logs")}
    return Connection(**{**values, **folders})  # type: ignore[arg-type]  # of any type


def exports(connection: Connection, environment: Mapping[str, str] = os.environ) -> str:
    """Lines for `eval` in a shell."""
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
