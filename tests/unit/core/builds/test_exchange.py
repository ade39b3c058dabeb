"""Reports of fetch and push."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.builds.errors import REASONS, BuildError, BuildProblem, GitAwayError
from componentrun.core.builds.exchange import (
    STEP_REPORT_BYTES,
    StepReport,
    failed,
    read_report,
    termination_message,
)
from componentrun.core.images.problems import Problem
from componentrun.errors import PlatformError
from componentrun.reasons import GUIDANCE, Reason
from componentrun.registry.errors import RegistryAwayError

BUILDS = {Reason.SOURCE_UNAVAILABLE, Reason.PARENT_UNAVAILABLE, Reason.BUILD_FAILED, Reason.PUSH_REFUSED}


def test_each_problem_has_a_reason_of_builds() -> None:
    assert set(REASONS) == set(BuildProblem)
    assert set(REASONS.values()) == BUILDS


@pytest.mark.parametrize("problem", BuildProblem)
def test_an_error_of_the_build_keeps_its_words(problem: BuildProblem) -> None:
    report = failed(BuildError(problem, "it is wrong", "Correct it."), 1.23456)
    assert report == StepReport(
        ok=False, seconds=1.235, reason=REASONS[problem], message="it is wrong", advice="Correct it."
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (GitAwayError(BuildProblem.GIT_AWAY, "away", "Wait."), Reason.SOURCE_UNAVAILABLE),
        (RegistryAwayError(Problem.AWAY, "away", "Wait."), Reason.REGISTRY_UNAVAILABLE),
    ],
)
def test_a_host_that_is_away_may_be_back_later(error: Exception, reason: Reason) -> None:
    report = failed(error, 0)
    assert (report.reason, report.is_transient) == (reason, True)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space", "/secret"), Reason.BUILD_DISK_FULL),
        (OSError(errno.EDQUOT, "Quota", "/secret"), Reason.BUILD_DISK_FULL),
        (OSError(errno.EACCES, "Denied", "/secret"), Reason.INTERNAL),
        (MemoryError("secret"), Reason.BUILD_OUT_OF_MEMORY),
        (ValueError("https://ann:secret@git.example.com"), Reason.INTERNAL),
        (UnicodeDecodeError("utf-8", b"secret", 0, 1, "secret"), Reason.INTERNAL),
    ],
)
def test_an_unexpected_error_is_reported_without_its_values(error: Exception, reason: Reason) -> None:
    report = failed(error, 0)
    assert (report.ok, report.reason, report.is_transient) == (False, reason, False)
    assert "secret" not in termination_message(report)
    assert report.advice


def test_the_usual_advice_is_given_if_there_is_no_better_one() -> None:
    assert failed(PlatformError("x", Reason.PUSH_REFUSED), 0).advice == GUIDANCE[Reason.PUSH_REFUSED].advice


@given(st.text(max_size=5000), st.text(max_size=5000))
def test_a_report_always_fits_and_can_be_read(message: str, advice: str) -> None:
    report = StepReport(ok=False, reason="BuildFailed", message=message, advice=advice)
    text = termination_message(report)
    assert len(text.encode()) <= STEP_REPORT_BYTES
    found = read_report(text)
    assert found is not None
    assert found.reason == "BuildFailed"
    assert (found.message or "").removesuffix(" …") in message


def test_a_report_that_fits_is_not_changed() -> None:
    report = StepReport(ok=True, seconds=1.5, digest="sha256:1", was_there=True, sent_bytes=3, mounted_layers=1)
    assert read_report(termination_message(report)) == report


@pytest.mark.parametrize("text", ["", "{}", "[]", "componentrun: fetched", '{"ok":1}', "[" * 100_000])
def test_something_else_is_no_report(text: str) -> None:
    assert read_report(text) is None
