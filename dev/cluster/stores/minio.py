"""MinIO, another store than the cluster's, for tests that try several. It is built (170 s) when the first one asks.

`up()` is safe to call again and again, also from pytest fixtures. It needs no root and no cluster.
"""

import os
from dataclasses import asdict, dataclass
from typing import Any, Final

from minio import MinioAdmin
from minio.credentials.providers import StaticProvider

from dev.cluster import paths, waiting
from dev.cluster.build import builds
from dev.cluster.host import address, processes
from dev.cluster.stores import server

PORT: Final = 9000
ROOT_USER: Final = "componentrun-root"
USER: Final = "operator"
POLICY: Final = "componentrun-operator"
_SERVER: Final = server.Server("MinIO", "minio", "minio", paths.store, "store.json", (PORT,))


@dataclass(frozen=True)
class Store(server.Bucket):
    """How to reach the store; its user may do anything with `bucket` and buckets called `<bucket>-*`, and no more."""

    root_access_key: str = ""
    root_secret_key: str = ""


def up() -> Store:
    """Start the store if it isn't running, see that its bucket and user are there, and tell how to reach it."""
    builds.build(["minio"])
    with paths.lock("store"):
        wanted = _known() or _new()
        program = paths.links() / "minio"
        command = [str(program), "server", "--quiet", "--address", f"{address.node()}:{PORT}", str(_SERVER.data)]
        env = _environment(wanted)
        mark = processes.fingerprint([*command, str(program.resolve())], env)
        _SERVER.provide(command, env, mark, lambda: _problem(wanted))
        _provision(wanted)
        _SERVER.remember(asdict(wanted))
    return wanted


def load() -> Store:
    """How to reach the running store.

    Raises:
        ClusterError: it isn't running.
    """
    known = _known()
    if known is None or not _SERVER.is_running():
        raise _SERVER.not_running()
    return known


def is_known() -> bool:
    """Whether it was started since the last `down`."""
    return _known() is not None


def problem() -> str | None:
    """What is wrong with the store; None if it runs and is well."""
    known = _known()
    return _problem(known) if known is not None and _SERVER.is_running() else "not running"


def down() -> bool:
    """Stop the store and delete what it holds. Returns whether it ran."""
    return _SERVER.down()


def policy(bucket: str) -> dict[str, Any]:
    """What the operator's user may do: anything with `bucket` and its `<bucket>-*` relatives."""
    names = [bucket, f"{bucket}-*"]
    resources = [f"arn:aws:s3:::{name}{suffix}" for name in names for suffix in ("", "/*")]
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": resources}]}


def _provision(wanted: Store) -> None:
    server.provide_bucket(wanted.client(wanted.root_access_key, wanted.root_secret_key), wanted.bucket)
    credentials = StaticProvider(access_key=wanted.root_access_key, secret_key=wanted.root_secret_key)
    admin = MinioAdmin(endpoint=wanted.endpoint.partition("://")[2], credentials=credentials, secure=False)
    admin.user_add(wanted.access_key, wanted.secret_key)
    admin.policy_add(POLICY, policy=policy(wanted.bucket))
    if POLICY not in admin.user_info(wanted.access_key):
        admin.policy_set(POLICY, user=wanted.access_key)


def _problem(known: Store) -> str | None:
    return waiting.http_problem(f"{known.endpoint}/minio/health/ready")


def _environment(wanted: Store) -> dict[str, str]:
    return {
        "HOME": str(paths.store()),
        "PATH": os.defpath,
        "MINIO_ROOT_USER": wanted.root_access_key,
        "MINIO_ROOT_PASSWORD": wanted.root_secret_key,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }


def _new() -> Store:
    key, root_key = server.new_key(), server.new_key()
    return Store(_endpoint(), USER, key, server.BUCKET, server.REGION, ROOT_USER, root_key)


def _known() -> Store | None:
    values = _SERVER.known()
    # The address may have changed since (DHCP), the keys have not.
    return None if values is None else Store(**values | {"endpoint": _endpoint()})


def _endpoint() -> str:
    return f"http://{address.node()}:{PORT}"
