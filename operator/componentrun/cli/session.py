"""What one invocation works with: cluster, store, clock, output. Created lazily, so that `--help` loads no client."""

from __future__ import annotations

import getpass
import re
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from componentrun.cli.errors import BadRequestError, NotFoundError
from componentrun.cli.terminal.render import Output
from componentrun.client.models import parse_run
from componentrun.errors import ComponentRunError
from componentrun.process.kubernetes.resources import RUNS

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.api.componentrun import ComponentRun
    from componentrun.api.storage import Storage
    from componentrun.cli.storage.eventplace import EventPlace
    from componentrun.client.kubernetes.cluster import Cluster, JsonObject
    from componentrun.client.storage.filestore import FileStore
    from componentrun.client.storage.store import Store
    from componentrun.client.storage.tablestore import TableStore

__all__ = ["LATEST", "Makers", "Session"]

LATEST = "@latest"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def _connect(context: str | None, namespace: str | None) -> Cluster:
    from componentrun.client.kubernetes.client import connect  # noqa: PLC0415 - few commands need it

    return connect(context, namespace)


def _open_store(cluster: Cluster, storage: JsonObject, endpoint: str | None) -> Store:
    from componentrun.client.storage.objects import open_storage  # noqa: PLC0415 - likewise

    return open_storage(cluster, storage, endpoint)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Makers:
    """Factories of a session's parts; tests replace them."""

    cluster: Callable[[str | None, str | None], Cluster] = _connect
    """From context and namespace."""
    store: Callable[[Cluster, JsonObject, str | None], Store] = _open_store
    """From the cluster, a Storage object and an endpoint that overrides its own."""
    now: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Session:
    """One invocation; a context manager that closes the stores and the cluster that it has opened."""

    makers: Makers = field(default_factory=Makers)
    context: str | None = None
    namespace: str | None = None
    storage: str | None = None
    """Storage that an option names."""
    endpoint: str | None = None
    """URL of the object store that an option names."""
    output: Output = field(default_factory=Output)
    _cluster: Cluster | None = None
    _opened: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Nothing is opened before it is used."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was opened, also through sessions of other namespaces that were derived from this one."""
        self._opened.close()

    def in_namespace(self, namespace: str | None) -> Session:
        """The session with another namespace; None: the one of the context."""
        return replace(self, namespace=namespace, _cluster=None)

    @property
    def cluster(self) -> Cluster:
        """The cluster; connected at the first use."""
        if self._cluster is None:
            self._cluster = self._opened.enter_context(closing(self.makers.cluster(self.context, self.namespace)))
        return self._cluster

    def now(self) -> datetime:
        """The current time."""
        return self.makers.now()

    def who(self) -> str:
        """Name of the user in the cluster, or on this machine if the cluster does not tell."""
        try:
            return self.cluster.who()
        except ComponentRunError:
            return getpass.getuser()

    def raw_run(self, name: str) -> JsonObject:
        """A run by its name, or the newest one for `@latest`."""
        if name == LATEST:
            return self._latest()
        if not _NAME.fullmatch(name):
            raise BadRequestError(
                f"`{name}` is no name of a run: expected small letters, digits, `-` and `.`, or `{LATEST}`",
                "`componentrun list -o name` prints the names of the runs.",
            )
        return self.cluster.get(RUNS, name)

    def run(self, name: str) -> ComponentRun:
        """A run by its name, or the newest one for `@latest`."""
        return parse_run(self.raw_run(name))

    def _latest(self) -> JsonObject:
        runs = self.cluster.list(RUNS)
        if not runs:
            raise NotFoundError(
                f"there are no runs in namespace `{self.cluster.namespace}`, so none is `{LATEST}`",
                "`componentrun submit` creates a run; `--namespace NAME` looks in another namespace.",
            )
        return max(runs, key=lambda run: (run["metadata"]["creationTimestamp"], run["metadata"]["name"]))

    def store(self, of_run: str | None = None) -> Store:
        """The Storage that an option names, else that of a run, else the namespace's default one."""
        raw, _ = self._storage(self.storage or of_run)
        return self.open_store(raw)

    def open_store(self, storage: JsonObject) -> Store:
        """Open the store of a Storage until the session ends."""
        return self._opened.enter_context(closing(self.makers.store(self.cluster, storage, self.endpoint)))

    def tables(self) -> TableStore:
        """The tables of the Storage."""
        return self.store().tables

    def files(self) -> FileStore:
        """The files of the Storage."""
        return self.store().files

    def event_place(self) -> EventPlace:
        """The bucket and prefix of the Storage, with everything in the cluster that stores events there.

        Raises:
            NotAllowedError: the caller is not allowed to list that in all namespaces.
            EnvironmentFault: this release can't read a Component, or a Storage with the same bucket.
        """
        from componentrun.cli.storage.eventplace import event_place  # noqa: PLC0415 - few commands need it

        return event_place(self.cluster, self._storage(self.storage)[1])

    def _storage(self, name: str | None) -> tuple[JsonObject, Storage]:
        from componentrun.client.storage.choosing import choose_storage  # noqa: PLC0415 - few commands need it

        return choose_storage(self.cluster, name)
