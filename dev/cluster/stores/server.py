"""A store on this machine, also without a cluster: started once, started anew when it changed, found later."""

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
"""Versions are kept."""
_ANSWERS_WITHIN: Final = 60
"""Seconds, at its start and later."""


@dataclass(frozen=True)
class Bucket:
    """How to reach a bucket.

    Attributes:
        endpoint: URL of the S3 API that works from this machine and from pods.
        access_key: a user that may do anything with `bucket`.
    """

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    region: str

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

    def client(self, access_key: str = "", secret_key: str = "") -> Minio:
        """A client of its own user, or of another one."""
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
    """One store.

    Attributes:
        title: what people call it.
        name: of its log and its pid file.
        verb: of `python -m dev.cluster`, that starts it.
        folder: returns the folder of all that it keeps.
        state: name of the file there with the keys.
        ports: that it listens on.
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
        """Folder of its objects."""
        return self.folder() / "data"

    def known(self) -> dict[str, Any] | None:
        """What `remember` was given; None: nothing."""
        try:
            return dict(json.loads((self.folder() / self.state).read_text()))
        except FileNotFoundError:
            return None

    def remember(self, values: Mapping[str, Any]) -> None:
        """Keep its keys, for their owner only."""
        paths.write_private(self.folder() / self.state, json.dumps(values, indent=1))

    def is_running(self) -> bool:
        """Whether its process is there."""
        return processes.find(self.pid_file) is not None

    def not_running(self) -> ClusterError:
        """The error of whoever needs it."""
        return ClusterError(
            f"{self.title} isn't running on this machine", hint=f"`python -m dev.cluster {self.verb}` starts it"
        )

    def provide(self, command: Sequence[str], env: Mapping[str, str], mark: str, check: waiting.Check) -> None:
        """See that its process runs, was started like this, and is well.

        Args:
            command: that starts it.
            env: its environment.
            mark: changes when it has to be started anew.
            check: None once it answers as it should.

        Raises:
            ClusterError: somebody else has its port, or it does not start.
        """
        running = processes.find(self.pid_file)
        if running and (running.fingerprint != mark or self._is_sick(check)):
            processes.stop(self.pid_file)
            running = None
        if running is None:
            self._start(command, env, mark, check)

    def down(self) -> bool:
        """Stop it and delete what it holds. Returns whether it ran."""
        with paths.lock(self.folder().name):
            ran = processes.stop(self.pid_file)
            if self.folder().exists():
                shutil.rmtree(self.folder())
        return ran

    def _is_sick(self, check: waiting.Check) -> bool:
        """Whether a process that runs stays without a good answer.

        Others may be using it: one late answer is no reason to end it under them.
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
    """A secret key."""
    return secrets.token_hex(20)


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
