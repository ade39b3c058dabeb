"""A store on this machine, also without a cluster: start it once, restart it after changes, and find it later."""

import json
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from minio import Minio, lifecycleconfig
from minio.commonconfig import Filter
from minio.versioningconfig import VersioningConfig

from componentrun.storage.store.settings import StoreSettings
from dev.cluster import paths, waiting
from dev.cluster.errors import ClusterError
from dev.cluster.host import ports, processes
from dev.cluster.progress import step

BUCKET: Final = "componentrun"
REGION: Final = "us-east-1"
ENABLED: Final = "Enabled"
"""Bucket versioning is enabled."""
_ANSWERS_WITHIN: Final = 60
"""Seconds to wait for an answer, during startup and later."""


@dataclass(frozen=True)
class Bucket:
    """How to reach a bucket.

    Attributes:
        endpoint: URL of the S3 API, valid on this machine and in pods.
        access_key: a user with full access to `bucket`.
    """

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    region: str

    @property
    def settings(self) -> StoreSettings:
        """Settings with which a Storage reaches the bucket."""
        return StoreSettings(
            bucket=self.bucket,
            endpoint=self.endpoint,
            region=self.region,
            access_key=self.access_key,
            secret_key=self.secret_key,
        )

    def client(self, access_key: str = "", secret_key: str = "") -> Minio:
        """An S3 client, with the bucket's own user by default."""
        scheme, _, host = self.endpoint.partition("://")
        return Minio(
            host,
            access_key=access_key or self.access_key,
            secret_key=secret_key or self.secret_key,
            region=self.region,
            secure=scheme == "https",
        )


@dataclass(frozen=True)
class Server:
    """One store process.

    Attributes:
        title: display name.
        name: name of the log and the pid file.
        verb: command of `python -m dev.cluster` that starts the store.
        folder: returns the folder with all of the store's data.
        state: name of the file in `folder` that contains the keys.
        ports: ports that the store listens on.
    """

    title: str
    name: str
    verb: str
    folder: Callable[[], Path]
    state: str
    ports: tuple[int, ...]

    @property
    def pid_file(self) -> Path:
        return self.folder() / f"{self.name}.pid"

    @property
    def data(self) -> Path:
        """Folder of the stored objects."""
        return self.folder() / "data"

    def known(self) -> dict[str, Any] | None:
        """The values saved by `remember`; None if there are none."""
        try:
            return dict(json.loads((self.folder() / self.state).read_text()))
        except FileNotFoundError:
            return None

    def remember(self, values: Mapping[str, Any]) -> None:
        """Save the store's keys, readable by their owner only."""
        paths.write_private(self.folder() / self.state, json.dumps(values, indent=1))

    def is_running(self) -> bool:
        """Whether the store's process is running."""
        return processes.find(self.pid_file) is not None

    def not_running(self) -> ClusterError:
        """The error to raise if the store is needed but not running."""
        return ClusterError(
            f"{self.title} isn't running on this machine", hint=f"`python -m dev.cluster {self.verb}` starts it"
        )

    def provide(self, command: Sequence[str], env: Mapping[str, str], mark: str, check: waiting.Check) -> None:
        """Make sure that the store is running with this command and is healthy.

        Args:
            command: starts the store.
            env: environment of the process.
            mark: fingerprint; the store is restarted when it changes.
            check: returns None when the store is healthy.

        Raises:
            ClusterError: another process uses one of the ports, or the store does not start.
        """
        running = processes.find(self.pid_file)
        if running and (running.fingerprint != mark or self._is_sick(check)):
            processes.stop(self.pid_file)
            running = None
        if running is None:
            self._start(command, env, mark, check)

    def down(self) -> bool:
        """Stop the store and delete its data. Returns whether it was running."""
        with paths.lock(self.folder().name):
            was_running = processes.stop(self.pid_file)
            if self.folder().exists():
                shutil.rmtree(self.folder())
        return was_running

    def _is_sick(self, check: waiting.Check) -> bool:
        """Whether a running store stays unhealthy.

        One late answer does not cause a restart, because other processes may be using the store.
        """
        try:
            waiting.until(check, what=self.title, timeout=_ANSWERS_WITHIN)
        except ClusterError:
            return True
        return False

    def _start(self, command: Sequence[str], env: Mapping[str, str], mark: str, check: waiting.Check) -> None:
        for port in self.ports:
            holder = ports.holder(port)
            if holder is not None:
                raise ClusterError(
                    f"port {port} is taken by `{holder[1]}` (process {holder[0]}); {self.title} needs it",
                    hint="stop that process; a cluster of your own can use another store (STORE_ENDPOINT and its"
                    " relatives)",
                )
        paths.make_private(self.data)
        log = paths.logs() / f"{self.name}.log"
        with step(f"starting {self.title}"):
            processes.start(command, env=env, log=log, pid_file=self.pid_file, mark=mark)

            def ready() -> str | None:
                if not self.is_running():
                    raise ClusterError(f"{self.title} ended at once:\n{processes.tail(log)}", hint=f"see {log}")
                return check()

            waiting.until(ready, what=self.title, timeout=_ANSWERS_WITHIN, hint=f"see {log}")


def new_key() -> str:
    """Generate a secret key."""
    return secrets.token_hex(20)


def provide_bucket(client: Minio, bucket: str) -> None:
    """Create a bucket unless it exists, and enable versioning."""
    if not client.bucket_exists(bucket_name=bucket):
        client.make_bucket(bucket_name=bucket)
    if client.get_bucket_versioning(bucket_name=bucket).status != ENABLED:
        # docs/security.md requires versioning. Objects that tests delete would be kept forever, so old versions expire.
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
