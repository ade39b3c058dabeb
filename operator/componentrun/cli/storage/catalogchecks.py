"""What `doctor` says of a Storage's catalog: tried from here as the loader tries it, and as the operator found it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.cli.errors import hint_of
from componentrun.cli.storage.objects import CATALOG_URI
from componentrun.cli.storage.store import Check
from componentrun.core.storages.catalog import CATALOG
from componentrun.errors import UserError
from componentrun.wire.loader import CatalogReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.cli.kubernetes.cluster import JsonObject
    from componentrun.cli.storage.store import Store
    from componentrun.wire.loader import CatalogCheck

__all__ = ["catalog_checks"]

_OUTSIDE: Final = f"where the catalog has another URL outside the cluster, `{CATALOG_URI}` says which"
_NO_TABLES: Final = "it has no `spec.catalog`, so it keeps no tables; files, states and events need none"


def catalog_checks(store: Store, storage: JsonObject) -> Iterator[Check]:
    """All checks of a Storage's catalog."""
    if storage["spec"].get("catalog") is None:
        yield Check("catalog", "warn", _NO_TABLES, "name an Iceberg REST catalog in `spec.catalog` (docs/tables.md)")
        return
    for condition in storage.get("status", {}).get("conditions", ()):
        if condition["type"] == CATALOG:
            yield _seen(condition)
    try:
        settings = store.catalog_access()
    except UserError as error:
        yield Check("catalog", "fail", error.message, hint_of(error))
        return
    try:
        from componentrun.loader.catalog.checking import check_catalog  # noqa: PLC0415 - needs the extra `loader`
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("pyiceberg"):
            raise
        message = "it was not tried from here: what reads and writes catalogs is not installed"
        yield Check("catalog", "warn", message, "`pip install 'componentrun[loader]'`")
        return
    for found in check_catalog(settings):
        yield _tried(found, allowed=bool(storage["spec"].get("allowNonAtomic")))


def _seen(condition: JsonObject) -> Check:
    state = "warn" if condition["reason"] == CatalogReason.NON_ATOMIC else "fail"
    told = f"{condition['reason']}: {condition['message']}"
    hint = "docs/tables.md says what a catalog must do"
    return Check("catalog as the operator sees it", "ok" if condition["status"] == "True" else state, told, hint)


def _tried(found: CatalogCheck, *, allowed: bool) -> Check:
    what = f"catalog, {found.name}"
    if found.ok or (allowed and found.reason == CatalogReason.NON_ATOMIC):
        return Check(what, "ok", found.detail)
    hint = f"{found.hint}; {_OUTSIDE}" if found.reason == CatalogReason.UNAVAILABLE else found.hint
    return Check(what, "fail" if found.serious else "warn", found.detail, hint)
