"""What follows from whether a store keeps grants apart: the Storage's conditions, and whether a run may start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from componentrun.api.storage import Storage, StorageStatus
from componentrun.core.storages.scope import (
    Scope,
    ScopeMethod,
    check_after,
    known_scope,
    need_scope,
    status_of,
    status_of_failure,
    warning_of,
)
from componentrun.errors import PlatformError, Reason, TransientError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HELD = Scope(ScopeMethod.FORM, "seen", versioned=True)
LEAKY = Scope(ScopeMethod.NONE, "`..` leads out", versioned=False)


def storage(status: StorageStatus | None = None, *, generation: int = 3, **spec: Any) -> Storage:
    made = Storage.model_validate(
        {
            "metadata": {"name": "main", "namespace": "team", "uid": "u", "generation": generation},
            "spec": {"bucket": "bucket", **spec},
        }
    )
    return made if status is None else made.model_copy(update={"status": status})


def told(status: StorageStatus) -> dict[str, tuple[str, str]]:
    return {item.type: (item.status, item.reason) for item in status.conditions}


@pytest.mark.parametrize(
    ("scope", "allowed", "conditions"),
    [
        (
            HELD,
            False,
            {
                "Ready": ("True", "Scoped"),
                "Scoped": ("True", "SignedForms"),
                "Versioned": ("True", "VersionsKept"),
            },
        ),
        (
            Scope(ScopeMethod.SESSION, "seen", versioned=False),
            False,
            {
                "Ready": ("True", "Scoped"),
                "Scoped": ("True", "SessionPolicies"),
                "Versioned": ("False", "NoVersions"),
            },
        ),
        (
            LEAKY,
            False,
            {
                "Ready": ("False", "StorageUnscoped"),
                "Scoped": ("False", "NotEnforced"),
                "Versioned": ("False", "NoVersions"),
            },
        ),
        (
            LEAKY,
            True,
            {
                "Ready": ("True", "UnscopedAllowed"),
                "Scoped": ("False", "NotEnforced"),
                "Versioned": ("False", "NoVersions"),
            },
        ),
    ],
)
def test_the_conditions_tell_what_was_found(
    scope: Scope, allowed: bool, conditions: dict[str, tuple[str, str]]
) -> None:
    status = status_of(storage(allowUnscoped=allowed), scope, NOW)
    assert told(status) == conditions | {"Catalog": ("False", "NoCatalog")}
    assert {item.observed_generation for item in status.conditions} == {3}
    assert (status.observed_generation, status.checked) == (3, NOW)


@pytest.mark.parametrize("scope", [HELD, LEAKY, Scope(ScopeMethod.SESSION, "seen", versioned=True)])
def test_the_status_is_the_memory_of_what_was_found(scope: Scope) -> None:
    status = status_of(storage(), scope, NOW)
    assert known_scope(storage(status), NOW + timedelta(hours=23)) == scope


def test_another_spec_is_asked_about_anew() -> None:
    status = status_of(storage(), HELD, NOW)
    assert known_scope(storage(status, generation=4), NOW) is None
    assert check_after(storage(status, generation=4), NOW) == 0


def test_an_old_answer_is_not_believed() -> None:
    status = status_of(storage(), HELD, NOW)
    assert known_scope(storage(status), NOW + timedelta(hours=25)) is None


def test_a_store_is_asked_again_after_an_hour() -> None:
    status = status_of(storage(), HELD, NOW)
    assert check_after(storage(), NOW) == 0
    assert check_after(storage(status), NOW + timedelta(minutes=20)) == 40 * 60
    assert check_after(storage(status), NOW + timedelta(hours=2)) == 0


def test_a_run_is_refused_where_nothing_holds_its_grant() -> None:
    with pytest.raises(PlatformError, match="allowUnscoped") as refused:
        need_scope(storage(), LEAKY)
    assert refused.value.reason == Reason.STORAGE_UNSCOPED
    assert "`..` leads out" in refused.value.message


@pytest.mark.parametrize(("scope", "allowed"), [(HELD, False), (LEAKY, True), (HELD, True)])
def test_a_run_may_start_where_it_holds_or_is_allowed(scope: Scope, allowed: bool) -> None:
    need_scope(storage(allowUnscoped=allowed), scope)


def test_only_what_is_allowed_and_leaks_is_warned_about() -> None:
    leaky = status_of(storage(allowUnscoped=True), LEAKY, NOW)
    (warning,) = warning_of(storage(leaky, allowUnscoped=True))
    assert "allowUnscoped" in warning
    assert warning_of(storage(leaky)) == ()
    assert warning_of(storage(status_of(storage(), HELD, NOW), allowUnscoped=True)) == ()
    assert warning_of(storage()) == ()


def test_a_store_that_is_away_for_a_while_loses_no_answer() -> None:
    known = storage(status_of(storage(), HELD, NOW))
    later = NOW + timedelta(hours=2)
    status = status_of_failure(known, TransientError("away", Reason.STORAGE_UNAVAILABLE), later)
    assert told(status)["Ready"] == ("False", "StorageUnavailable")
    assert known_scope(storage(status), later) == HELD


def test_a_store_that_was_never_reached_is_unknown() -> None:
    status = status_of_failure(storage(), PlatformError("no", Reason.STORAGE_ACCESS_DENIED), NOW)
    assert told(status) == {
        "Ready": ("False", "StorageAccessDenied"),
        "Scoped": ("Unknown", "StorageAccessDenied"),
        "Catalog": ("False", "NoCatalog"),
    }
    assert known_scope(storage(status), NOW) is None


def test_what_is_found_again_after_an_edit_is_said_of_the_edited_storage() -> None:
    before = status_of(storage(generation=3), HELD, NOW)
    after = status_of(storage(before, generation=4, maxRunning=7), HELD, NOW + timedelta(minutes=1))
    assert {item.observed_generation for item in after.conditions} == {4}
    assert {item.last_transition_time for item in after.conditions} == {NOW}
    refused = status_of_failure(storage(after, generation=5), PlatformError("no", Reason.STORAGE_ACCESS_DENIED), NOW)
    again = status_of_failure(storage(refused, generation=6), PlatformError("no", Reason.STORAGE_ACCESS_DENIED), NOW)
    assert {item.observed_generation for item in again.conditions if item.type != "Versioned"} == {6}
