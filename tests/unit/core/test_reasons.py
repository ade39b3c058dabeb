"""The page of reasons is what the code says."""

from __future__ import annotations

from pathlib import Path

from componentrun.core.lifecycle.reasons import WHO_ACTS, meanings, reasons_page
from componentrun.errors import Reason
from dev.generate.__main__ import RUNBOOK, with_reasons

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "reasons.md"


def test_every_reason_has_a_meaning_and_somebody_who_acts() -> None:
    assert set(meanings()) == set(Reason)
    assert set(WHO_ACTS) == set(Reason)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reasons_page(), (
        "python -m componentrun.core.lifecycle.reasons > docs/reference/reasons.md"
    )


def test_the_runbook_has_every_reason_for_which_a_run_fails() -> None:
    assert RUNBOOK.read_text() == with_reasons(RUNBOOK.read_text()), "make generate"
    assert "| [OutOfMemory](../reference/reasons.md#outofmemory) |" in RUNBOOK.read_text()
