"""MinIO, an alternative store for tests that use several stores. It is built on first use (170 s).

`up()` is idempotent, so pytest fixtures can call it. It needs neither root nor a cluster.
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
    """How to reach the store. Its user has full access to `bucket` and `<bucket>-*`, and no other access."""

    root_access_key: str = ""
    root_secret_key: str = ""


def up() -> Store:
    """Start the store unless it is running, create its bucket and user, and return how to reach it."""
    builds.build(["minio"])
    with paths.lock("store"):
        store = _known() or _new()
        program = paths.links() / "minio"
        command = [str(program), "server", "--quiet", "--address", f"{address.node()}:{PORT}", str(_SERVER.data)]
        env = _environment(store)
        mark = processes.fingerprint([*command, str(program.resolve())], env)
        _SERVER.provide(command, env, mark, lambda: _problem(store))
        _provision(store)
        _SERVER.remember(asdict(store))
    return store


def load() -> Store:
    """How to reach the running store.

    Raises:
        ClusterError: the store isn't running.
    """
    store = _known()
    if store is None or not _SERVER.is_running():
        raise _SERVER.not_running()
    return store


def is_running() -> bool:
    """Whether the store's process is running."""
    return _SERVER.is_running()


def problem() -> str | None:
    """What is wrong with the store; None if it is running and healthy."""
    store = _known()
    return _problem(store) if store is not None and _SERVER.is_running() else "not running"


def down() -> bool:
    """Stop the store and delete its data. Returns whether it was running."""
    return _SERVER.down()


def policy(bucket: str) -> dict[str, Any]:
    """Policy of the operator's user: full access to `bucket` and `<bucket>-*`."""
    names = [bucket, f"{bucket}-*"]
    resources = [f"arn:aws:s3:::{name}{suffix}" for name in names for suffix in ("", "/*")]
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": resources}]}


def _provision(store: Store) -> None:
    server.provide_bucket(store.client(store.root_access_key, store.root_secret_key), store.bucket)
    credentials = StaticProvider(access_key=store.root_access_key, secret_key=store.root_secret_key)
    admin = MinioAdmin(endpoint=store.endpoint.partition("://")[2], credentials=credentials, secure=False)
    admin.user_add(store.access_key, store.secret_key)
    admin.policy_add(POLICY, policy=policy(store.bucket))
    if POLICY not in admin.user_info(store.access_key):
        admin.policy_set(POLICY, user=store.access_key)


def _problem(store: Store) -> str | None:
    return waiting.http_problem(f"{store.endpoint}/minio/health/ready")


def _environment(store: Store) -> dict[str, str]:
    return {
        "HOME": str(paths.store()),
        "PATH": os.defpath,
        "MINIO_ROOT_USER": store.root_access_key,
        "MINIO_ROOT_PASSWORD": store.root_secret_key,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }


def _new() -> Store:
    key, root_key = server.new_key(), server.new_key()
    return Store(_endpoint(), USER, key, server.BUCKET, server.REGION, ROOT_USER, root_key)


def _known() -> Store | None:
    values = _SERVER.known()
    # The address may have changed (DHCP); the keys stay valid.
    return None if values is None else Store(**values | {"endpoint": _endpoint()})


def _endpoint() -> str:
    return f"http://{address.node()}:{PORT}"
