"""Deprecated Components: what their runs are told, and from when on they are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from componentrun.core.components.deprecation import check_deprecation, is_withdrawn
from componentrun.errors import Reason, UserError
from tests.unit.core.make import make_component

LAST_DAY = {"endOfLife": "2026-12-31"}


def warnings(created: datetime = datetime(2026, 7, 1, tzinfo=UTC), *, exists: bool = True, **deprecated: Any) -> Any:
    component = make_component(deprecated=deprecated)
    return check_deprecation(component, created, "spec.component", replacement_exists=exists)


def test_a_component_that_is_not_deprecated_has_no_warning() -> None:
    now = datetime(2026, 7, 1, tzinfo=UTC)
    assert check_deprecation(make_component(), now, "spec.component", replacement_exists=True) == ()
    assert check_deprecation(None, now, "spec.component", replacement_exists=True) == ()


def test_a_warning_has_all_that_is_known() -> None:
    (warning,) = warnings(since="2026-01-31", message="The API is gone.", replacedBy="new", **LAST_DAY)
    assert warning == (
        "Component `cleaner` is deprecated since 2026-01-31; its runs can be created until 2026-12-31; "
        "it is replaced by `new`; The API is gone."
    )


def test_a_deprecation_without_details_is_told_as_well() -> None:
    assert warnings() == ("Component `cleaner` is deprecated.",)


def test_a_replacement_that_is_gone_is_told() -> None:
    (warning,) = warnings(exists=False, replacedBy="new")
    assert "it is replaced by `new`, which does not exist" in warning


@pytest.mark.parametrize(
    ("created", "withdrawn"),
    [
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), False),
        (datetime(2027, 1, 1, tzinfo=UTC), True),
    ],
)
def test_the_last_day_is_a_day_in_utc(created: datetime, withdrawn: bool) -> None:
    assert is_withdrawn(make_component(deprecated=LAST_DAY), created) is withdrawn


def test_after_the_last_day_runs_are_refused_with_the_name_of_the_replacement() -> None:
    with pytest.raises(UserError, match="it is replaced by `new`") as caught:
        warnings(datetime(2027, 1, 1, tzinfo=UTC), replacedBy="new", **LAST_DAY)
    assert caught.value.reason is Reason.COMPONENT_WITHDRAWN
    assert caught.value.advice == "Use the component `new`."


def test_a_refusal_says_what_to_do_if_there_is_no_replacement() -> None:
    for exists, name in ((True, None), (False, "new")):
        with pytest.raises(UserError) as caught:
            warnings(datetime(2027, 1, 1, tzinfo=UTC), exists=exists, replacedBy=name, **LAST_DAY)
        assert "postponed" in caught.value.advice
