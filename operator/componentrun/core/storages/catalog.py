"""The condition `Catalog` of a Storage, and its consequences for runs and for the condition `Ready`. Pure.

Tables exist only in a catalog. On a Storage without one, runs that read or write tables are refused.

The loader checks the catalog (`loader.catalog.checking`), and the result is stored in the Storage's status.
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
_WHAT_TO_DO: Final = "Set `spec.catalog` of the Storage (docs/tables.md), or use a Storage that has one."
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
    """The result of checking a catalog."""

    status: Literal["True", "False", "Unknown"]
    reason: CatalogReason
    message: str
    usable: bool
    """Whether runs can use it now."""

    @property
    def is_settled(self) -> bool:
        """Whether the result is valid for a while. If not, the catalog is checked again soon."""
        return self.reason in _SETTLED


def is_catalog_settled(storage: Storage) -> bool:
    """Whether the Storage's status contains a settled result for its current spec."""
    found = find(storage.status.conditions, CATALOG)
    return found is not None and found.reason in _SETTLED and found.observed_generation == storage.metadata.generation


def finding_of(storage: Storage, checks: Sequence[CatalogCheck]) -> CatalogFinding:
    """The finding that follows from the checks."""
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
    """The finding if the loader can't be reached: the state of the catalog is unknown."""
    reason = CatalogReason.LOADER_UNAVAILABLE if has_loader else CatalogReason.NO_LOADER
    again = " It is asked again." if isinstance(error, TransientError) else ""
    return CatalogFinding("Unknown", reason, f"{_sentence(error.message)}{again}", usable=False)


def need_catalog(storage: Storage, found: CatalogFinding) -> None:
    """Refuse or delay a run that needs tables if the catalog can't be used.

    If the loader does not respond, the state of the catalog is unknown. In that case, the run gets the error when the
    operator sends its request to the loader.

    Raises:
        PlatformError: (StorageAccessDenied, CatalogUnfit) the catalog or the Storage must be corrected.
        TransientError: (StorageUnavailable) the catalog, or the files of its tables, may be available again soon.
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
    """The finding if the Storage has no catalog. For runs without tables, it is ready if its bucket is."""
    return CatalogFinding(
        "False",
        CatalogReason.NO_CATALOG,
        "The Storage has no `spec.catalog`: it keeps files, state and events, but no tables. Runs that read or write "
        "tables are refused.",
        usable=True,
    )


def check_tables_can_be_kept(storage: Storage, spec: ComponentRunSpec) -> None:
    """Refuse a run that names tables if its Storage has no catalog. CSV objects in the input are not tables.

    Raises:
        UserError: (InvalidSpec) the Storage has no catalog; the message names it and the first table.
    """
    named = [table.source for table in spec.input.tables if table.source is not None]
    named += [table.destination for table in spec.output.tables]
    if storage.spec.catalog is None and named:
        what = "reads" if named[0] in {table.source for table in spec.input.tables} else "writes"
        raise UserError(
            f"the run {what} table `{named[0]}`, but {_without_catalog(storage)}",
            Reason.INVALID_SPEC,
            advice=_WHAT_TO_DO,
        )


def check_tables_can_be_published(storage: Storage, tables: Sequence[str]) -> None:
    """Refuse tables that a component wrote although its run named none.

    Args:
        storage: the run's Storage.
        tables: ids of the tables.

    Raises:
        UserError: (OutputInvalid) the Storage has no catalog.
    """
    if storage.spec.catalog is None and tables:
        raise UserError(
            f"the component wrote table `{tables[0]}`, but {_without_catalog(storage)}",
            Reason.OUTPUT_INVALID,
            advice=_WHAT_TO_DO,
        )


def _without_catalog(storage: Storage) -> str:
    return f"Storage `{storage.metadata.name}` has no `spec.catalog` and so keeps no tables"


def not_checked(error: ComponentRunError) -> CatalogFinding:
    """The finding if the bucket can't be used, so the catalog was not checked."""
    message = f"The catalog was not asked, because the bucket can't be used ({error.reason})."
    return CatalogFinding("Unknown", CatalogReason.NOT_CHECKED, message, usable=False)


def _reason(word: str) -> CatalogReason:
    """Convert a reason. A loader of another release may return unknown ones, which become `CatalogUnfit`."""
    return CatalogReason(word) if word in set(CatalogReason) else CatalogReason.UNFIT


def _sentences(check: CatalogCheck) -> str:
    return " ".join(_sentence(text) for text in (check.detail, check.hint) if text)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
