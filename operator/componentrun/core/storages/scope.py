"""Whether a store confines a run's grant to the run's own prefix, and the consequences for runs. Pure.

`storage.access.scope` checks the store. The result is stored in the Storage's status, so that runs need not wait for
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from componentrun.core.lifecycle.conditions import find, with_condition
from componentrun.core.storages.catalog import CATALOG, CatalogFinding, is_catalog_settled, no_catalog, not_checked
from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.wire.loader import CatalogReason

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.storage import Storage, StorageStatus
    from componentrun.errors import ComponentRunError

__all__ = [
    "Scope",
    "ScopeMethod",
    "check_after",
    "known_scope",
    "need_scope",
    "status_of",
    "status_of_failure",
    "store_check_after",
    "warning_of",
]

READY: Final = "Ready"
SCOPED: Final = "Scoped"
VERSIONED: Final = "Versioned"

_ASK_AGAIN: Final = timedelta(hours=1)
_GOOD_FOR: Final = timedelta(hours=24)
"""Age up to which a result is valid. It can be older only if no operator was running to repeat the check."""


class ScopeMethod(StrEnum):
    """The mechanism that confines stage-out's grant to its prefix. The values are reasons of the condition `Scoped`."""

    FORM = "SignedForms"
    """The conditions of signed POST forms."""
    SESSION = "SessionPolicies"
    """Temporary keys with their own policy, from the Storage's `sts`."""
    NONE = "NotEnforced"
    """No mechanism works."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The result of checking a store."""

    means: ScopeMethod
    message: str
    """What the check observed."""
    versioned: bool
    """Whether the bucket keeps versions."""


_Word = Literal["True", "False", "Unknown"]
_Told = tuple[str, _Word, str, str]
"""Type, status, reason and message of a condition."""

_NO_VERSIONS_MESSAGE: Final = (
    "The bucket keeps no versions: until it ends, whoever stole the grant of a run can make the files that the run "
    "published unreadable (never other than they were). Turn versioning on to prevent it."
)
_VERSIONS_KEPT: Final[_Told] = (
    VERSIONED,
    "True",
    "VersionsKept",
    "What is published stays what it is, whoever still holds the grant that wrote it.",
)
_NO_VERSIONS: Final[_Told] = (
    VERSIONED,
    "False",
    "NoVersions",
    _NO_VERSIONS_MESSAGE,
)
_ALLOWED_MESSAGE: Final = (
    "Runs can use it, as it says `allowUnscoped: true`; nothing keeps their grants within their prefixes."
)


def known_scope(storage: Storage, now: datetime) -> Scope | None:
    """The result in the Storage's status for its current spec; None if it is missing or too old."""
    status = storage.status
    scoped = find(status.conditions, SCOPED)
    versioned = find(status.conditions, VERSIONED)
    if scoped is None or scoped.reason not in set(ScopeMethod) or status.checked is None:
        return None
    if status.observed_generation != storage.metadata.generation or now - status.checked > _GOOD_FOR:
        return None
    return Scope(ScopeMethod(scoped.reason), scoped.message, versioned is not None and versioned.status == "True")


def check_after(storage: Storage, now: datetime) -> float:
    """Seconds until the next check of the store or the catalog; 0: now."""
    ready = find(storage.status.conditions, READY)
    unready = ready is not None and ready.reason in set(CatalogReason)
    if storage.spec.catalog is not None and (unready or not is_catalog_settled(storage)):
        return 0.0
    return store_check_after(storage, now)


def store_check_after(storage: Storage, now: datetime) -> float:
    """Seconds until the next check of the store; 0: now, for example if the store did not respond to its last use."""
    checked, ready = storage.status.checked, find(storage.status.conditions, READY)
    if checked is None or known_scope(storage, now) is None:
        return 0.0
    if ready is not None and ready.reason == Reason.STORAGE_UNAVAILABLE:
        return 0.0
    return max((checked + _ASK_AGAIN - now).total_seconds(), 0.0)


def need_scope(storage: Storage, scope: Scope) -> None:
    """Refuse to create a grant that nothing confines to its prefix.

    Raises:
        PlatformError: (StorageUnscoped) the store does not scope grants, and the Storage does not allow that.
    """
    if scope.means is ScopeMethod.NONE and not storage.spec.allow_unscoped:
        raise PlatformError(
            f"the store of Storage `{storage.metadata.name}` does not keep a run's grant within the run's own prefix: "
            f"{scope.message}",
            Reason.STORAGE_UNSCOPED,
            advice=(
                "Use another store, configure `sts`, or set `allowUnscoped: true` to accept that anybody who obtains a "
                "run's grant can write anywhere in the bucket."
            ),
        )


def warning_of(storage: Storage) -> tuple[str, ...]:
    """Warnings for the status of runs on this Storage."""
    scoped = find(storage.status.conditions, SCOPED)
    if scoped is None or scoped.reason != ScopeMethod.NONE or not storage.spec.allow_unscoped:
        return ()
    warning = (
        f"Storage `{storage.metadata.name}` says `allowUnscoped: true`, and its store does not keep grants within "
        "their prefixes: a stolen grant of this run could write anywhere in the bucket."
    )
    return (warning,)


def status_of(
    storage: Storage,
    scope: Scope,
    now: datetime,
    catalog: CatalogFinding | None = None,
    *,
    checked: datetime | None = None,
) -> StorageStatus:
    """The status with the findings.

    Args:
        storage: the Storage before the check.
        scope: the result of checking the store.
        now: the current time.
        catalog: the result of checking the catalog; None: the Storage has no catalog.
        checked: when the store was checked; None: now.
    """
    held = scope.means is not ScopeMethod.NONE
    status = _with(storage, storage.status, (SCOPED, _word(held), scope.means, scope.message), now)
    status = _with(storage, status, _VERSIONS_KEPT if scope.versioned else _NO_VERSIONS, now)
    ready: _Told
    if held:
        ready = (READY, "True", "Scoped", "Runs can use it.")
    elif storage.spec.allow_unscoped:
        ready = (READY, "True", "UnscopedAllowed", _ALLOWED_MESSAGE)
    else:
        ready = (READY, "False", Reason.STORAGE_UNSCOPED.value, f"Runs are refused: {scope.message}")
    status = _with_catalog(storage, status, catalog, now)
    if ready[1] == "True" and catalog is not None and not catalog.usable:
        ready = (READY, "False", catalog.reason, f"Runs can't read or publish tables. {catalog.message}")
    status = _with(storage, status, ready, now)
    return status.model_copy(update={"observed_generation": storage.metadata.generation, "checked": checked or now})


def status_of_failure(storage: Storage, error: ComponentRunError, now: datetime) -> StorageStatus:
    """The status if the store could not be checked; earlier findings are kept."""
    status = _with(storage, storage.status, (READY, "False", error.reason, error.message), now)
    if known_scope(storage, now) is None and not isinstance(error, TransientError):
        status = _with(storage, status, (SCOPED, "Unknown", error.reason, "The store could not be asked."), now)
    return _with_catalog(storage, status, None if storage.spec.catalog is None else not_checked(error), now)


def _with_catalog(
    storage: Storage, status: StorageStatus, found: CatalogFinding | None, now: datetime
) -> StorageStatus:
    """The status with the condition `Catalog`. Earlier findings are kept while the catalog can't be checked."""
    found = found or no_catalog()
    if found.status == "Unknown" and is_catalog_settled(storage):
        return status
    return _with(storage, status, (CATALOG, found.status, found.reason, found.message), now)


def _word(holds: bool) -> _Word:  # noqa: FBT001 - a finding, not a switch
    return "True" if holds else "False"


def _with(storage: Storage, status: StorageStatus, told: _Told, now: datetime) -> StorageStatus:
    kind, word, reason, message = told
    generation = storage.metadata.generation
    changed = with_condition(status.conditions, kind, word, reason, message, generation=generation, now=now)
    # Set the observed generation even if the condition has not changed, because `kubectl wait` waits for it.
    changed = tuple(
        item.model_copy(update={"observed_generation": generation}) if item.type == kind else item for item in changed
    )
    return status.model_copy(update={"conditions": changed})
