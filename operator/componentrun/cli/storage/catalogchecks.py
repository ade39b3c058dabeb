"""Checks of `doctor` of a Storage's catalog: from this machine, as the loader does, and the operator's findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.cli.errors import advice_of
from componentrun.client.storage.objects import CATALOG_URI
from componentrun.client.storage.store import Check
from componentrun.core.storages.catalog import CATALOG
from componentrun.errors import UserError
from componentrun.wire.loader import CatalogReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.client.kubernetes.cluster import JsonObject
    from componentrun.client.storage.store import Store
    from componentrun.wire.loader import CatalogCheck

__all__ = ["catalog_checks"]

_OUTSIDE: Final = f"If the catalog has another URL outside the cluster, set `{CATALOG_URI}`."
_NO_TABLES: Final = "it has no `spec.catalog`, so it keeps no tables; files, states and events need none"


def catalog_checks(store: Store, storage: JsonObject) -> Iterator[Check]:
    """All checks of a Storage's catalog."""
    if storage["spec"].get("catalog") is None:
        yield Check("catalog", "warn", _NO_TABLES, "Name an Iceberg REST catalog in `spec.catalog` (docs/tables.md).")
        return
    for condition in storage.get("status", {}).get("conditions", ()):
        if condition["type"] == CATALOG:
            yield _seen(condition)
    try:
        settings = store.catalog_access()
    except UserError as error:
        yield Check("catalog", "fail", error.summary, advice_of(error))
        return
    try:
        from componentrun.loader.catalog.checking import check_catalog  # noqa: PLC0415 - needs the extra `loader`
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("pyiceberg"):
            raise
        message = "it was not tried from here: what reads and writes catalogs is not installed"
        yield Check("catalog", "warn", message, "Install it: `pip install 'componentrun[loader]'`.")
        return
    for result in check_catalog(settings):
        yield _tried(result, allowed=bool(storage["spec"].get("allowNonAtomic")))


def _seen(condition: JsonObject) -> Check:
    state = "warn" if condition["reason"] == CatalogReason.NON_ATOMIC else "fail"
    finding = f"{condition['reason']}: {condition['message']}"
    advice = "docs/tables.md says what a catalog must be able to do."
    return Check("catalog as the operator sees it", "ok" if condition["status"] == "True" else state, finding, advice)


def _tried(result: CatalogCheck, *, allowed: bool) -> Check:
    title = f"catalog, {result.name}"
    if result.ok or (allowed and result.reason == CatalogReason.NON_ATOMIC):
        return Check(title, "ok", result.detail)
    advice = _sentence(result.hint)
    if result.reason == CatalogReason.UNAVAILABLE:
        advice = f"{advice} {_OUTSIDE}"
    return Check(title, "fail" if result.serious else "warn", result.detail, advice)


def _sentence(text: str) -> str:
    """A hint of the loader as a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
