"""What a sweep by hand must know about a bucket and prefix: everything in the cluster that stores events there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from componentrun.api.component import ClusterComponent, Component
from componentrun.api.storage import Storage
from componentrun.cli.errors import UnknownKindError
from componentrun.client.models import Model, parsed
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, RUNS, STORAGES
from componentrun.storage.events.retention import Retention, retention_of

if TYPE_CHECKING:
    from componentrun.client.kubernetes.cluster import Cluster, JsonObject

__all__ = ["EventPlace", "event_place"]


@dataclass(frozen=True, slots=True)
class EventPlace:
    """The events of a bucket and prefix."""

    retention: Retention
    """How long they are kept: the longest period of all Storages with this bucket and prefix."""
    runs: frozenset[str]
    """Uids of all existing runs of their namespaces."""
    others: tuple[str, ...]
    """Other namespaces that have such a Storage."""


def event_place(cluster: Cluster, storage: Storage) -> EventPlace:
    """Look at the Storages of all namespaces, and at the Components and runs of those that share the bucket and prefix.

    ClusterComponents are listed as well, because they set how long events are kept. Components and runs are listed for
    the whole cluster if another namespace shares the bucket and prefix.

    Raises:
        NotAllowedError: the caller is not allowed to list one of them.
        EnvironmentFault: this release can't read a Component or ClusterComponent, or a Storage with the same bucket.
    """
    found = cluster.list(STORAGES, everywhere=True)
    same_bucket = [_parsed(Storage, raw) for raw in found if raw["spec"].get("bucket") == storage.spec.bucket]
    sharing = [other for other in same_bucket if _place(other) == _place(storage)]
    own = storage.metadata.namespace
    others = tuple(sorted({other.metadata.namespace for other in sharing} - {own}))
    components: defaultdict[str, list[Component]] = defaultdict(list)
    for raw in _of(cluster.list(COMPONENTS, everywhere=bool(others)), (own, *others)):
        components[raw["metadata"]["namespace"]].append(_parsed(Component, raw))
    shared = _cluster_components(cluster)
    retention = retention_of(storage, components[own], shared)
    for other in sharing:
        retention = retention.merged(retention_of(other, components[other.metadata.namespace], shared))
    runs = _of(cluster.list(RUNS, everywhere=bool(others)), (own, *others))
    return EventPlace(retention, frozenset(raw["metadata"]["uid"] for raw in runs), others)


def _cluster_components(cluster: Cluster) -> list[ClusterComponent]:
    try:
        return [parsed(ClusterComponent, raw) for raw in cluster.list(CLUSTER_COMPONENTS, everywhere=True)]
    except UnknownKindError:
        return []  # the CRD is not installed


def _parsed(kind: type[Model], raw: JsonObject) -> Model:
    return parsed(kind, raw, raw["metadata"]["namespace"])


def _of(found: list[JsonObject], namespaces: tuple[str, ...]) -> list[JsonObject]:
    return [raw for raw in found if raw["metadata"]["namespace"] in namespaces]


def _place(storage: Storage) -> tuple[str, str]:
    """The bucket and prefix. Endpoints are not compared: several may lead to the same store."""
    return storage.spec.bucket, storage.spec.prefix.strip("/")
