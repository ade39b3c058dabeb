"""The page of reasons is what the code says."""

from __future__ import annotations

from pathlib import Path

from componentrun.reasons import GUIDANCE, Reason
from dev.generate.__main__ import RUNBOOK, with_reasons
from dev.generate.reasons import meanings, reasons_page

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "reasons.md"


def test_every_reason_has_a_meaning_and_somebody_who_acts() -> None:
    assert set(meanings()) == set(Reason)
    assert set(GUIDANCE) == set(Reason)


def test_every_reason_for_which_a_run_fails_has_advice() -> None:
    ends = list(Reason)[list(Reason).index(Reason.SUCCEEDED) :]
    without = {reason for reason in ends if not GUIDANCE[reason].advice}
    assert without == {Reason.SUCCEEDED, Reason.CANCELLED, Reason.REPLACED, Reason.NAMESPACE_TERMINATING}


def test_advice_is_whole_sentences() -> None:
    assert {
        reason for reason, guidance in GUIDANCE.items() if guidance.advice and guidance.advice[-1] not in ".)"
    } == set()


def test_the_page_says_what_to_do() -> None:
    assert f"What to do: {GUIDANCE[Reason.OUT_OF_MEMORY].advice}" in PAGE.read_text()


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reasons_page(), "make generate"


def test_the_runbook_has_every_reason_for_which_a_run_fails() -> None:
    assert RUNBOOK.read_text() == with_reasons(RUNBOOK.read_text()), "make generate"
    assert "| [OutOfMemory](../reference/reasons.md#outofmemory) |" in RUNBOOK.read_text()
