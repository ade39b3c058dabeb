"""What one invocation works with: cluster, store, clock, output. Made late, so that `--help` loads no client."""

from __future__ import annotations

import getpass
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from componentrun.cli.errors import BadRequestError, EnvironmentFault, NotFoundError
from componentrun.cli.kubernetes.cluster import COMPONENTS, RUNS, STORAGES, Cluster, JsonObject
from componentrun.cli.terminal.render import Output
from componentrun.errors import ComponentRunError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    import typer

    from componentrun.api.common import ApiModel
    from componentrun.api.componentrun import ComponentRun
    from componentrun.api.storage import Storage
    from componentrun.cli.storage.store import Store
    from componentrun.storage.events.retention import Retention

__all__ = ["LATEST", "Makers", "Session", "parse_run"]

LATEST = "@latest"
Model = TypeVar("Model", bound="ApiModel")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def _connect(context: str | None, namespace: str | None) -> Cluster:
    from componentrun.cli.kubernetes.client import connect  # noqa: PLC0415 - the client takes half a second to load

    return connect(context, namespace)


def _open_store(cluster: Cluster, storage: JsonObject, endpoint: str | None) -> Store:
    from componentrun.cli.storage.objects import open_storage  # noqa: PLC0415 - likewise

    return open_storage(cluster, storage, endpoint)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Makers:
    """How the things of a session are made; tests put their own here."""

    cluster: Callable[[str | None, str | None], Cluster] = _connect
    """From context and namespace."""
    store: Callable[[Cluster, JsonObject, str | None], Store] = _open_store
    """From the cluster, a Storage object and an endpoint that overrides its own."""
    now: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Session:
    """One invocation."""

    makers: Makers = field(default_factory=Makers)
    context: str | None = None
    namespace: str | None = None
    output: Output = field(default_factory=Output)
    _cluster: Cluster | None = None

    @classmethod
    def of(cls, ctx: typer.Context, *, context: str | None, namespace: str | None) -> Session:
        """The session of a command with what its options say."""
        makers = ctx.find_object(Makers) or Makers()
        return cls(makers, context, namespace)

    @property
    def cluster(self) -> Cluster:
        """The cluster; connected at the first use."""
        if self._cluster is None:
            self._cluster = self.makers.cluster(self.context, self.namespace)
        return self._cluster

    def now(self) -> datetime:
        """The time."""
        return self.makers.now()

    def who(self) -> str:
        """The person: as the cluster knows them, or as this machine does where the cluster won't tell."""
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
                "`componentrun list -o name` prints the names",
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
                "`componentrun submit` creates one; `--namespace` looks elsewhere",
            )
        return max(runs, key=lambda run: (run["metadata"]["creationTimestamp"], run["metadata"]["name"]))

    def store(self, name: str | None, endpoint: str | None) -> Store:
        """A Storage by its name, or the namespace's default one."""
        raw, _ = self._storage(name)
        return self.makers.store(self.cluster, raw, endpoint)

    def retention(self, name: str | None) -> Retention:
        """How long events are kept in a Storage, as it and the Components of the namespace say.

        Raises:
            EnvironmentFault: a Component holds what this release does not understand.
        """
        from pydantic import ValidationError  # noqa: PLC0415 - the models take a while to load

        from componentrun.api.component import Component  # noqa: PLC0415 - likewise
        from componentrun.storage.events.retention import retention_of  # noqa: PLC0415 - likewise

        _, storage = self._storage(name)
        try:
            components = [Component.model_validate(raw) for raw in self.cluster.list(COMPONENTS)]
        except ValidationError as error:
            raise EnvironmentFault(
                f"a Component of namespace `{self.cluster.namespace}` is not understood: {error.errors()[0]['msg']}",
                "use the release of `componentrun` that the operator has: `componentrun doctor` tells both",
            ) from error
        return retention_of(storage, components)

    def _storage(self, name: str | None) -> tuple[JsonObject, Storage]:
        from componentrun.api.storage import Storage  # noqa: PLC0415 - the models take a while to load
        from componentrun.storage.store.resource import choose  # noqa: PLC0415 - likewise

        found = {storage["metadata"]["name"]: storage for storage in self.cluster.list(STORAGES)}
        models: dict[str, Storage] = {}
        faults: dict[str, EnvironmentFault] = {}
        for title, storage in found.items():
            try:
                models[title] = _parsed(Storage, storage)
            except EnvironmentFault as error:
                faults[title] = error
        try:
            chosen = choose(models.values(), name, self.cluster.namespace)
        except UserError:
            # One that can't be read is told where it is meant, or may be.
            for title, fault in faults.items():
                if name in {None, title}:
                    raise fault from None
            raise
        return found[chosen.metadata.name], chosen


def parse_run(raw: JsonObject) -> ComponentRun:
    """A run as the models know it.

    Raises:
        EnvironmentFault: it holds what this release does not understand.
    """
    from componentrun.api.componentrun import ComponentRun  # noqa: PLC0415 - the models take a while to load

    return _parsed(ComponentRun, raw)


def _parsed(kind: type[Model], raw: JsonObject) -> Model:
    from pydantic import ValidationError  # noqa: PLC0415 - the models take a while to load

    try:
        return kind.model_validate(_without_nulls(raw))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise EnvironmentFault(
            f"{kind.__name__} `{raw['metadata'].get('name')}` has a `{where}` that this release does not "
            f"understand: {first['msg']}",
            "use the release of `componentrun` that the operator has: `componentrun doctor` tells both",
        ) from error


def _without_nulls(raw: JsonObject) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if value is not None}
