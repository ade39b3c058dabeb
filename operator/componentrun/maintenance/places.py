"""Which places there are to maintain, and how long events are kept there.

A place is a bucket and prefix. Several Storages may be one place; then what it is told goes by all of them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from componentrun.api.common import long_duration_seconds
from componentrun.api.component import Component
from componentrun.api.storage import Storage, StorageMaintenance, StorageTables
from componentrun.errors import ComponentRunError
from componentrun.process.kubernetes.errors import ForbiddenError
from componentrun.process.kubernetes.resources import COMPONENTS, RUNS, STORAGES
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

__all__ = ["CatalogPlace", "Found", "Place", "find_places"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CatalogPlace:
    """A catalog's tables of one prefix."""

    title: str
    """Namespace and name of the first of its Storages."""
    settings: StoreSettings
    """With the catalog."""
    history: timedelta
    """How long earlier states of tables are kept: the longest that any of its Storages says."""
    is_maintained: bool
    """Whether all of its Storages want their tables maintained."""
    spark: Storage | None = None
    """The first of its Storages that has large tables maintained by Spark; None: there is none."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place."""

    title: str
    """Namespace and name of the first of its Storages."""
    store: Store
    retention: Retention | None
    """How long events are kept; None: that could not be read, so all are."""
    namespaces: frozenset[str]
    """Whose runs have their events here."""

    async def existing(self, kube: Kube) -> frozenset[str]:
        """Uids of all runs whose objects exist."""
        found = [raw["metadata"]["uid"] for name in sorted(self.namespaces) async for raw in _items(kube, RUNS, name)]
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is."""

    places: tuple[Place, ...]
    catalogs: tuple[CatalogPlace, ...]
    """The tables of all Storages with a catalog, each once."""
    failures: int
    """Storages that could not be opened, or read in full, and namespaces that could not be listed; the log says why."""


async def find_places(kube: Kube, namespaces: Sequence[str]) -> Found:
    """The places of all Storages of these namespaces; of all that there are where none is given.

    Raises:
        KubeError: the API server is away, or refused to list all namespaces at once.
    """
    places: dict[tuple[str, str, str], Place] = {}
    catalogs: dict[tuple[str, str, str], CatalogPlace] = {}
    unopened: list[dict[str, Any]] = []
    failures = 0
    for namespace in namespaces or (None,):
        try:
            there = [raw async for raw in _items(kube, STORAGES, namespace)]
        except ForbiddenError as error:
            if namespace is None:
                raise
            # One that is deleted takes our rights in it along; that must not keep the others from being looked after.
            log.error("namespace %s: its Storages can't be listed: %s", namespace, error.message)  # noqa: TRY400 - told in a sentence
            unopened.append({})  # it may be of any bucket
            continue
        for raw in there:
            try:
                storage = Storage.model_validate(raw)
                store = open_store(await read_settings(kube, storage))
            except (ComponentRunError, ValidationError) as error:
                _tell(raw, "", error)
                unopened.append(raw)
                continue
            except Exception:  # an error of ours at one Storage must not keep all others from being looked after
                log.exception("Storage %s could not be opened", _title(raw))
                unopened.append(raw)
                continue
            try:
                retention = await _retention(kube, storage)
            except (ComponentRunError, ValidationError) as error:
                _tell(raw, "how long events are kept is not known, so none is deleted: ", error)
                failures, retention = failures + 1, None
            place = Place(_title(raw), store, retention, frozenset({storage.metadata.namespace}))
            _add_catalog(catalogs, _title(raw), storage, store.settings)
            key = store.settings.base_url, store.settings.bucket, store.settings.prefix
            places[key] = _merged(places[key], place) if key in places else place
    return Found(
        tuple(_knowing(place, unopened) for place in places.values()),
        tuple(catalog for catalog in catalogs.values() if catalog.is_maintained and _is_known(catalog, unopened)),
        failures + len(unopened),
    )


def _knowing(place: Place, unopened: Sequence[dict[str, Any]]) -> Place:
    """A place without its retention where a Storage that was not opened may be of it, and keep longer or have runs."""
    if place.retention is None or not any(_may_be(place, raw.get("spec") or {}) for raw in unopened):
        return place
    log.warning("Storage %s: another one of its place could not be opened, so no event is deleted", place.title)
    return replace(place, retention=None)


def _may_be(place: Place, spec: dict[str, Any]) -> bool:
    """Whether a Storage of this spec, which need not be well formed, may be of a place. One host has many names."""
    bucket, prefix, settings = spec.get("bucket"), spec.get("prefix", ""), place.store.settings
    if bucket is None:
        return True
    return bucket == settings.bucket and (not isinstance(prefix, str) or prefix.strip("/") == settings.prefix)


def _merged(one: Place, other: Place) -> Place:
    known = one.retention is not None and other.retention is not None
    retention = one.retention.merged(other.retention) if known else None  # type: ignore[union-attr,arg-type]
    return replace(one, retention=retention, namespaces=one.namespaces | other.namespaces)


def _add_catalog(
    catalogs: dict[tuple[str, str, str], CatalogPlace], title: str, storage: Storage, settings: StoreSettings
) -> None:
    """Add the tables of a Storage. Of two Storages with the same tables, the one counts that keeps more of them."""
    catalog = settings.catalog
    if catalog is None:
        return
    tables, maintenance = storage.spec.tables or StorageTables(), storage.spec.maintenance or StorageMaintenance()
    history, is_maintained = timedelta(seconds=long_duration_seconds(tables.history)), maintenance.engine != "None"
    key = catalog.uri, catalog.warehouse, catalog.namespace_prefix
    other = catalogs.get(key, CatalogPlace(title, settings, history, is_maintained))
    catalogs[key] = replace(
        other,
        history=max(history, other.history),
        is_maintained=is_maintained and other.is_maintained,
        spark=other.spark or (storage if maintenance.engine == "Spark" else None),
    )


def _is_known(place: CatalogPlace, unopened: Sequence[dict[str, Any]]) -> bool:
    """Whether no Storage that was not opened may have the same tables, and keep them for longer."""
    own = place.settings.catalog
    if own is None or not any(_may_have_tables_of(own, raw) for raw in unopened):
        return True
    log.warning(
        "Storage %s: another one of the same tables could not be opened, so its tables are not maintained", place.title
    )
    return False


def _may_have_tables_of(catalog: CatalogSettings, raw: dict[str, Any]) -> bool:
    """Whether a Storage may have the tables of a catalog. Two URIs may lead to one catalog, so they don't count."""
    if "spec" not in raw:  # it stands for those of a namespace that could not be listed
        return True
    other = raw["spec"].get("catalog")
    if other is None:
        return False
    return (other.get("warehouse"), other.get("namespacePrefix", "")) == (catalog.warehouse, catalog.namespace_prefix)


async def _retention(kube: Kube, storage: Storage) -> Retention:
    namespace = storage.metadata.namespace
    return retention_of(storage, [Component.model_validate(raw) async for raw in _items(kube, COMPONENTS, namespace)])


async def _items(kube: Kube, what: Resource, namespace: str | None) -> AsyncIterator[dict[str, Any]]:
    async for page in kube.pages(what, namespace):
        for item in page.items:
            yield item


def _title(raw: dict[str, Any]) -> str:
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"


def _tell(raw: dict[str, Any], what: str, error: Exception) -> None:
    log.error("Storage %s: %s%s", _title(raw), what, getattr(error, "message", None) or error)
