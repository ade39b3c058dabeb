"""The object store of development and tests: a MinIO server on this machine, also without a cluster.

`up()` is safe to call again and again, also from pytest fixtures. It needs no root.
"""

import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minio import Minio, MinioAdmin, lifecycleconfig
from minio.commonconfig import Filter
from minio.credentials.providers import StaticProvider
from minio.versioningconfig import VersioningConfig

from componentrun.storage.settings import StoreSettings
from e2e.cluster import address, builds, paths, ports, processes, waiting
from e2e.cluster.errors import ClusterError
from e2e.cluster.progress import step

PORT = 9000
BUCKET = "componentrun"
REGION = "us-east-1"
ROOT_USER = "componentrun-root"
USER = "operator"
POLICY = "componentrun-operator"
ENABLED = "Enabled"
"""Versions are kept."""
_ANSWERS_WITHIN = 60
"""Seconds, at its start and later."""


@dataclass(frozen=True)
class Store:
    """How to reach the store.

    Attributes:
        endpoint: URL that works from this machine and from pods.
        access_key: a user that may do anything with `bucket` and with buckets called `<bucket>-*`, and nothing else.
    """

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    region: str
    root_access_key: str = ""
    root_secret_key: str = ""

    @property
    def settings(self) -> StoreSettings:
        """The bucket, as a Storage reaches it."""
        return StoreSettings(
            bucket=self.bucket,
            endpoint=self.endpoint,
            region=self.region,
            access_key=self.access_key,
            secret_key=self.secret_key,
        )


def up() -> Store:
    """Start the store if it isn't running, see that its bucket and user are there, and tell how to reach it."""
    builds.build(["minio"])
    with paths.lock("store"):
        wanted = _known() or _new()
        command = [
            str(paths.links() / "minio"),
            "server",
            "--quiet",
            "--address",
            f"{address.node()}:{PORT}",
            str(_data()),
        ]
        env = _environment(wanted)
        real = str((paths.links() / "minio").resolve())
        mark = processes.fingerprint([*command, real], env)
        running = processes.find(_pid_file())
        if running and (running.fingerprint != mark or _is_sick(wanted)):
            processes.stop(_pid_file())
            running = None
        if running is None:
            _start(wanted, command, env, mark)
        _provision(wanted)
        paths.write_private(_state_file(), json.dumps(asdict(wanted), indent=1))
    return wanted


def load() -> Store:
    """How to reach the running store.

    Raises:
        ClusterError: it isn't running.
    """
    known = _known()
    if known is None or processes.find(_pid_file()) is None:
        raise ClusterError("the local object store isn't running", hint="`python -m e2e.cluster store` starts it")
    return known


def problem() -> str | None:
    """What is wrong with the store; None if it runs and is well."""
    known = _known()
    if known is None or processes.find(_pid_file()) is None:
        return "not running"
    return _problem(known)


def down() -> bool:
    """Stop the store and delete what it holds. Returns whether it ran."""
    with paths.lock("store"):
        ran = processes.stop(_pid_file())
        if paths.store().exists():
            shutil.rmtree(paths.store())
    return ran


def policy(bucket: str) -> dict[str, Any]:
    """What the operator's user may do: anything with `bucket` and its `<bucket>-*` relatives."""
    names = [bucket, f"{bucket}-*"]
    resources = [f"arn:aws:s3:::{name}{suffix}" for name in names for suffix in ("", "/*")]
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": resources}]}


def _start(wanted: Store, command: list[str], env: dict[str, str], mark: str) -> None:
    holder = ports.holder(PORT)
    if holder is not None:
        raise ClusterError(
            f"port {PORT} is taken by `{holder[1]}` (process {holder[0]}); the object store needs it",
            hint="stop that process; a cluster of your own can use another store (STORE_ENDPOINT and its relatives)",
        )
    with step(f"starting MinIO at {wanted.endpoint}"):
        paths.make_private(_data())
        log = paths.logs() / "minio.log"
        processes.start(command, env=env, log=log, pid_file=_pid_file(), mark=mark)

        def check() -> str | None:
            if processes.find(_pid_file()) is None:
                raise ClusterError(f"MinIO ended at once:\n{processes.tail(log)}", hint=f"see {log}")
            return _problem(wanted)

        waiting.until(check, what="MinIO", timeout=_ANSWERS_WITHIN, hint=f"see {log}")


def _provision(wanted: Store) -> None:
    secure = wanted.endpoint.startswith("https://")
    host = wanted.endpoint.partition("://")[2]
    root = Minio(host, access_key=wanted.root_access_key, secret_key=wanted.root_secret_key, secure=secure)
    provide_bucket(root, wanted.bucket)
    credentials = StaticProvider(access_key=wanted.root_access_key, secret_key=wanted.root_secret_key)
    admin = MinioAdmin(endpoint=host, credentials=credentials, secure=secure)
    admin.user_add(wanted.access_key, wanted.secret_key)
    admin.policy_add(POLICY, policy=policy(wanted.bucket))
    if POLICY not in admin.user_info(wanted.access_key):
        admin.policy_set(POLICY, user=wanted.access_key)


def provide_bucket(client: Minio, bucket: str) -> None:
    """See that a bucket is there and keeps versions."""
    if not client.bucket_exists(bucket_name=bucket):
        client.make_bucket(bucket_name=bucket)
    if client.get_bucket_versioning(bucket_name=bucket).status != ENABLED:
        # As docs/security.md asks for it. What tests delete would stay for ever, so it expires.
        client.set_bucket_versioning(bucket_name=bucket, config=VersioningConfig(ENABLED))
        client.set_bucket_lifecycle(bucket_name=bucket, config=_forget_old_versions())


def _forget_old_versions() -> lifecycleconfig.LifecycleConfig:
    rule = lifecycleconfig.Rule(
        status="Enabled",
        rule_filter=Filter(prefix=""),
        rule_id="old versions of tests",
        noncurrent_version_expiration=lifecycleconfig.NoncurrentVersionExpiration(noncurrent_days=1),
        expiration=lifecycleconfig.Expiration(expired_object_delete_marker=True),
    )
    return lifecycleconfig.LifecycleConfig([rule])


def _problem(known: Store) -> str | None:
    return waiting.http_problem(f"{known.endpoint}/minio/health/ready")


def _is_sick(known: Store) -> bool:
    """Whether a store that runs stays without a good answer.

    Others may be using it: one late answer is no reason to end it under them.
    """
    try:
        waiting.until(lambda: _problem(known), what="MinIO", timeout=_ANSWERS_WITHIN)
    except ClusterError:
        return True
    return False


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
    return Store(_endpoint(), USER, secrets.token_hex(20), BUCKET, REGION, ROOT_USER, secrets.token_hex(20))


def _known() -> Store | None:
    try:
        values = json.loads(_state_file().read_text())
    except FileNotFoundError:
        return None
    # The address may have changed since (DHCP), the keys have not.
    return Store(**values | {"endpoint": _endpoint()})


def _endpoint() -> str:
    return f"http://{address.node()}:{PORT}"


def _data() -> Path:
    return paths.store() / "data"


def _state_file() -> Path:
    return paths.store() / "store.json"


def _pid_file() -> Path:
    return paths.store() / "minio.pid"
