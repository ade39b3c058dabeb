"""What a Storage's catalog means for its runs: the condition `Catalog`, and whether `Ready` holds. Pure.

Tables live only in a catalog: on a Storage without one, runs that read or write tables are refused.

The catalog is tried by the loader (`loader.catalog.checking`); the answer is kept in the Storage's status.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from componentrun.core.lifecycle.conditions import find
from componentrun.errors import PlatformError, Reason, TransientError, UserError
from componentrun.wire.loader import CatalogReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.componentrun import ComponentRunSpec
    from componentrun.api.storage import Storage
    from componentrun.errors import ComponentRunError
    from componentrun.wire.loader import CatalogCheck

__all__ = [
    "CATALOG",
    "CatalogFinding",
    "check_tables_can_be_kept",
    "check_tables_can_be_published",
    "finding_of",
    "finding_of_failure",
    "is_catalog_settled",
    "need_catalog",
    "no_catalog",
    "not_checked",
]

CATALOG: Final = "Catalog"

_SETTLED: Final = frozenset({CatalogReason.READY, CatalogReason.NON_ATOMIC, CatalogReason.NO_CATALOG})
_PASSING: Final = frozenset({CatalogReason.UNAVAILABLE, CatalogReason.FILES_UNREACHABLE})
_WHAT_TO_DO: Final = "Set `spec.catalog` of the Storage (docs/tables.md), or use a Storage that has one"
_FIT: Final = "It answers, creates tables, commits several at once, and refuses stale commits."
_NON_ATOMIC: Final = (
    "It can't commit several tables at once: runs that publish more than one table fail. Use a catalog that can, or "
    "set `allowNonAtomic` of the Storage and accept that readers may see some of a run's tables before the others."
)
_NON_ATOMIC_ALLOWED: Final = (
    "It can't commit several tables at once. The Storage says `allowNonAtomic: true`, so readers may see some of a "
    "run's tables before the others."
)


@dataclass(frozen=True, slots=True)
class CatalogFinding:
    """What is known of a catalog after it was asked."""

    status: Literal["True", "False", "Unknown"]
    reason: CatalogReason
    message: str
    usable: bool
    """Whether runs can use it now."""

    @property
    def is_settled(self) -> bool:
        """Whether it holds for a while: else the catalog is asked again soon."""
        return self.reason in _SETTLED


def is_catalog_settled(storage: Storage) -> bool:
    """Whether the Storage's status says of its present spec that the catalog can be used."""
    found = find(storage.status.conditions, CATALOG)
    return found is not None and found.reason in _SETTLED and found.observed_generation == storage.metadata.generation


def finding_of(storage: Storage, checks: Sequence[CatalogCheck]) -> CatalogFinding:
    """What the checks say."""
    failed = [check for check in checks if not check.ok]
    serious = next((check for check in failed if check.serious), None)
    if serious is not None:
        return CatalogFinding("False", _reason(serious.reason), _sentences(serious), usable=False)
    if not checks:
        return CatalogFinding("Unknown", CatalogReason.UNFIT, "Nothing of it was checked.", usable=False)
    left = "".join(f" {_sentences(check)}" for check in failed if check.reason != CatalogReason.NON_ATOMIC)
    if not any(check.reason == CatalogReason.NON_ATOMIC for check in failed):
        return CatalogFinding("True", CatalogReason.READY, _FIT + left, usable=True)
    if storage.spec.allow_non_atomic:
        return CatalogFinding("True", CatalogReason.NON_ATOMIC, _NON_ATOMIC_ALLOWED + left, usable=True)
    return CatalogFinding("False", CatalogReason.NON_ATOMIC, _NON_ATOMIC + left, usable=True)


def finding_of_failure(error: ComponentRunError, *, has_loader: bool) -> CatalogFinding:
    """What it means that the loader could not be asked: nothing is known of the catalog."""
    reason = CatalogReason.LOADER_UNAVAILABLE if has_loader else CatalogReason.NO_LOADER
    again = " It is asked again." if isinstance(error, TransientError) else ""
    return CatalogFinding("Unknown", reason, f"{_sentence(error.message)}{again}", usable=False)


def need_catalog(storage: Storage, found: CatalogFinding) -> None:
    """Refuse, or hold, a run that needs tables of a catalog that can't be used.

    Nothing is known of a catalog while the loader is away; then a run meets that error where it asks the loader.

    Raises:
        PlatformError: (StorageAccessDenied, CatalogUnfit) somebody has to mend the catalog, or the Storage.
        TransientError: (StorageUnavailable) the catalog, or the files of its tables, may be there again soon.
    """
    if found.usable or found.status == "Unknown":
        return
    message = (
        f"the catalog of Storage `{storage.metadata.name}` can't be used ({found.reason}), so no pod was made. "
        f"{found.message}"
    )
    if found.reason in _PASSING:
        raise TransientError(message, Reason.STORAGE_UNAVAILABLE)
    denied = found.reason == CatalogReason.ACCESS_DENIED
    raise PlatformError(message, Reason.STORAGE_ACCESS_DENIED if denied else Reason.CATALOG_UNFIT)


def no_catalog() -> CatalogFinding:
    """What it means that the Storage names no catalog: it is as ready as its bucket, for runs without tables."""
    return CatalogFinding(
        "False",
        CatalogReason.NO_CATALOG,
        "The Storage has no `spec.catalog`: it keeps files, state and events, but no tables. Runs that read or write "
        "tables are refused.",
        usable=True,
    )


def check_tables_can_be_kept(storage: Storage, spec: ComponentRunSpec) -> None:
    """Refuse a run that names tables on a Storage that keeps none. CSV objects of its input are no tables.

    Raises:
        UserError: (InvalidSpec) naming the first of these tables and the Storage.
    """
    named = [table.source for table in spec.input.tables if table.source is not None]
    named += [table.destination for table in spec.output.tables]
    if storage.spec.catalog is None and named:
        what = "reads" if named[0] in {table.source for table in spec.input.tables} else "writes"
        raise UserError(f"the run {what} table `{named[0]}`, but {_without_catalog(storage)}", Reason.INVALID_SPEC)


def check_tables_can_be_published(storage: Storage, tables: Sequence[str]) -> None:
    """Refuse tables that a component wrote though its run named none.

    Args:
        storage: the run's Storage.
        tables: ids of the tables.

    Raises:
        UserError: (OutputInvalid) the Storage keeps no tables.
    """
    if storage.spec.catalog is None and tables:
        raise UserError(
            f"the component wrote table `{tables[0]}`, but {_without_catalog(storage)}", Reason.OUTPUT_INVALID
        )


def _without_catalog(storage: Storage) -> str:
    return f"Storage `{storage.metadata.name}` has no `spec.catalog` and so keeps no tables. {_WHAT_TO_DO}"


def not_checked(error: ComponentRunError) -> CatalogFinding:
    """What it means that the bucket can't be used."""
    message = f"The catalog was not asked, because the bucket can't be used ({error.reason})."
    return CatalogFinding("Unknown", CatalogReason.NOT_CHECKED, message, usable=False)


def _reason(word: str) -> CatalogReason:
    """A loader of another release may know further reasons."""
    return CatalogReason(word) if word in set(CatalogReason) else CatalogReason.UNFIT


def _sentences(check: CatalogCheck) -> str:
    return " ".join(_sentence(text) for text in (check.detail, check.hint) if text)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
