"""The places to maintain, and how long events are kept there.

A place is a bucket and prefix. Several Storages may share one; then all their settings count for it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from componentrun.api.common import long_duration_seconds
from componentrun.api.component import ClusterComponent, Component
from componentrun.api.storage import Storage, StorageMaintenance, StorageTables
from componentrun.errors import ComponentRunError
from componentrun.process.kubernetes.errors import ForbiddenError, NotFoundError
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, RUNS, STORAGES
from componentrun.process.kubernetes.storages import read_settings
from componentrun.storage.events.retention import Retention, retention_of
from componentrun.storage.store.connection import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.resources import Resource
    from componentrun.storage.store.catalog import CatalogSettings
    from componentrun.storage.store.connection import Store
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["CatalogPlace", "EventTablePlace", "Found", "Place", "find_places"]

log = logging.getLogger(__name__)

_PlaceKey = tuple[str, str, str]
"""URL of the store, bucket and prefix."""
_CatalogKey = tuple[str, str, str]
"""URI, warehouse and prefix of namespaces."""


@dataclass(frozen=True, slots=True)
class CatalogPlace:
    """A catalog's tables of one prefix."""

    title: str
    """Namespace and name of the first of its Storages."""
    settings: StoreSettings
    """Settings of the store, including the catalog."""
    history: timedelta
    """How long snapshots of tables are kept: the longest `tables.history` of its Storages."""
    is_maintained: bool
    """Whether all of its Storages enable table maintenance."""
    spark: Storage | None = None
    """The first of its Storages whose engine is Spark, if any."""


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket and prefix."""

    title: str
    """Namespace and name of the first of its Storages."""
    store: Store
    retention: Retention | None
    """How long events are kept; None if the settings could not be read, so that all events are kept."""
    namespaces: frozenset[str]
    """Namespaces whose runs store events here."""

    async def existing(self, kube: Kube) -> frozenset[str]:
        """Uids of all existing runs."""
        found = [raw["metadata"]["uid"] for name in sorted(self.namespaces) async for raw in _items(kube, RUNS, name)]
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class EventTablePlace:
    """The events of a place, and a catalog with a table of events."""

    place: Place
    settings: StoreSettings
    """Settings of the store, including the catalog."""
    is_maintained: bool
    """Whether the catalog's tables are maintained here, or by the catalog or another engine."""
    is_appended: bool
    """Whether events are appended: no Storage of the bucket, prefix and catalog has `events.table: false`."""


@dataclass(frozen=True, slots=True)
class Found:
    """All places and catalogs, and the number of failures."""

    places: tuple[Place, ...]
    catalogs: tuple[CatalogPlace, ...]
    """The catalogs of all Storages, each once."""
    event_tables: tuple[EventTablePlace, ...]
    """Each place with each catalog that its Storages name."""
    failures: int
    """Number of Storages that could not be opened or read in full, and of namespaces that could not be listed."""

    @property
    def living(self) -> list[StoreSettings] | None:
        """The Storages whose events are in tables; None if some Storages could not be read."""
        return None if self.failures else [table.settings for table in self.event_tables]


async def find_places(kube: Kube, namespaces: Sequence[str]) -> Found:
    """The places of all Storages in these namespaces, or in all namespaces if none is given.

    Raises:
        KubeError: the API server is unavailable, or does not allow listing all namespaces at once.
    """
    places: dict[_PlaceKey, Place] = {}
    catalogs: dict[_CatalogKey, CatalogPlace] = {}
    tables: dict[tuple[_PlaceKey, _CatalogKey], tuple[StoreSettings, bool]] = {}
    unopened: list[dict[str, Any]] = []
    failures = 0
    shared = () if namespaces else await _cluster_components(kube)
    for namespace in namespaces or (None,):
        try:
            there = [raw async for raw in _items(kube, STORAGES, namespace)]
        except ForbiddenError as error:
            if namespace is None:
                raise
            # When a namespace is deleted, its RoleBinding is deleted, too. The other namespaces are still maintained.
            log.error("namespace %s: its Storages can't be listed: %s", namespace, error.message)  # noqa: TRY400 - the message explains it
            unopened.append({})  # stands for Storages of any bucket
            continue
        for raw in there:
            try:
                storage = Storage.model_validate(raw)
                store = open_store(await read_settings(kube, storage))
            except (ComponentRunError, ValidationError) as error:
                _log_failure(raw, "", error)
                unopened.append(raw)
                continue
            except Exception:  # a defect that shows in one Storage must not stop maintenance of the others
                log.exception("Storage %s could not be opened", _title(raw))
                unopened.append(raw)
                continue
            try:
                retention = await _retention(kube, storage, shared)
            except (ComponentRunError, ValidationError) as error:
                _log_failure(raw, "its event retention can't be read, so no events are deleted: ", error)
                failures, retention = failures + 1, None
            place = Place(_title(raw), store, retention, frozenset({storage.metadata.namespace}))
            _add_catalog(catalogs, _title(raw), storage, store.settings)
            key = store.settings.base_url, store.settings.bucket, store.settings.prefix
            places[key] = _merged(places[key], place) if key in places else place
            if (catalog := _catalog_key(store.settings)) is not None:
                settings, is_appended = tables.get((key, catalog), (store.settings, True))
                tables[key, catalog] = settings, is_appended and _is_appended(storage)
    sure = {key: _without_unsure_retention(place, unopened) for key, place in places.items()}
    maintained = {
        key: catalog for key, catalog in catalogs.items() if catalog.is_maintained and _is_sure(catalog, unopened)
    }
    event_tables = [
        EventTablePlace(sure[key], settings, catalog in maintained, is_appended)
        for (key, catalog), (settings, is_appended) in tables.items()
    ]
    return Found(tuple(sure.values()), tuple(maintained.values()), tuple(event_tables), failures + len(unopened))


def _without_unsure_retention(place: Place, unopened: Sequence[dict[str, Any]]) -> Place:
    """The place, without its retention if an unopened Storage may share it and keep events longer."""
    if place.retention is None or not any(_may_share(place, raw.get("spec") or {}) for raw in unopened):
        return place
    log.warning(
        "Storage %s: another Storage that may share its place could not be opened, so no events are deleted",
        place.title,
    )
    return replace(place, retention=None)


def _may_share(place: Place, spec: dict[str, Any]) -> bool:
    """Whether a Storage with this spec, which may be malformed, may share a place. Several names may mean one host."""
    bucket, prefix, settings = spec.get("bucket"), spec.get("prefix", ""), place.store.settings
    if bucket is None:
        return True
    return bucket == settings.bucket and (not isinstance(prefix, str) or prefix.strip("/") == settings.prefix)


def _merged(one: Place, other: Place) -> Place:
    retention = None
    if one.retention is not None and other.retention is not None:
        retention = one.retention.merged(other.retention)
    return replace(one, retention=retention, namespaces=one.namespaces | other.namespaces)


def _add_catalog(
    catalogs: dict[_CatalogKey, CatalogPlace], title: str, storage: Storage, settings: StoreSettings
) -> None:
    """Add the tables of a Storage. If several Storages have the same tables, the longest history counts."""
    key = _catalog_key(settings)
    if key is None:
        return
    tables, maintenance = storage.spec.tables or StorageTables(), storage.spec.maintenance or StorageMaintenance()
    history, is_maintained = timedelta(seconds=long_duration_seconds(tables.history)), maintenance.engine != "None"
    other = catalogs.get(key, CatalogPlace(title, settings, history, is_maintained))
    catalogs[key] = replace(
        other,
        history=max(history, other.history),
        is_maintained=is_maintained and other.is_maintained,
        spark=other.spark or (storage if maintenance.engine == "Spark" else None),
    )


def _catalog_key(settings: StoreSettings) -> _CatalogKey | None:
    catalog = settings.catalog
    return (catalog.uri, catalog.warehouse, catalog.namespace_prefix) if catalog is not None else None


def _is_appended(storage: Storage) -> bool:
    return storage.spec.events is None or storage.spec.events.table


def _is_sure(place: CatalogPlace, unopened: Sequence[dict[str, Any]]) -> bool:
    """Whether every Storage that may have the same tables was opened: another one may keep a longer history."""
    own = place.settings.catalog
    if own is None or not any(_may_have_tables_of(own, raw) for raw in unopened):
        return True
    log.warning(
        "Storage %s: another Storage that may have the same tables could not be opened, so they are not maintained",
        place.title,
    )
    return False


def _may_have_tables_of(catalog: CatalogSettings, raw: dict[str, Any]) -> bool:
    """Whether a Storage may have the tables of a catalog. URIs are not compared: two may lead to one catalog."""
    if "spec" not in raw:  # stands for the Storages of a namespace that could not be listed
        return True
    other = raw["spec"].get("catalog")
    if other is None:
        return False
    return (other.get("warehouse"), other.get("namespacePrefix", "")) == (catalog.warehouse, catalog.namespace_prefix)


async def _cluster_components(kube: Kube) -> tuple[dict[str, Any], ...]:
    """All ClusterComponents, unparsed. Who maintains listed namespaces reads nothing outside of them."""
    try:
        return tuple([raw async for raw in _items(kube, CLUSTER_COMPONENTS, None)])
    except NotFoundError:
        return ()  # the CRD is not installed


async def _retention(kube: Kube, storage: Storage, shared: Sequence[dict[str, Any]]) -> Retention:
    namespace = storage.metadata.namespace
    components = [Component.model_validate(raw) async for raw in _items(kube, COMPONENTS, namespace)]
    return retention_of(storage, components, [ClusterComponent.model_validate(raw) for raw in shared])


async def _items(kube: Kube, what: Resource, namespace: str | None) -> AsyncIterator[dict[str, Any]]:
    async for page in kube.pages(what, namespace):
        for item in page.items:
            yield item


def _title(raw: dict[str, Any]) -> str:
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"


def _log_failure(raw: dict[str, Any], what: str, error: Exception) -> None:
    log.error("Storage %s: %s%s", _title(raw), what, getattr(error, "message", None) or error)
