"""How much of its component's output a failed run's status holds, and where more of it comes from."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.api.componentrun import ComponentRun, ComponentRunStatus, EventsStatus
from componentrun.core.lifecycle.delivery import events_delivered
from componentrun.core.lifecycle.ending import finished
from componentrun.core.lifecycle.lastwords import MAX_ATTEMPT_MESSAGE, needs_last_words
from componentrun.core.lifecycle.publishing import published, publishing
from componentrun.core.podstatus.errortext import MAX_MESSAGE, user_error_message
from componentrun.core.podstatus.results import MAX_LAST_WORDS, tail
from componentrun.core.podstatus.verdict import Diagnosis
from componentrun.errors import Reason
from tests.unit.core.make import make_run

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ATTEMPT = {"number": 1, "pod": "daily-1", "podUID": "p1", "startTime": "2026-11-01T11:00:00Z"}
LONG = "The cause stands here. " + "Some more is said of it. " * 130


def user_error(words: str) -> Diagnosis:
    return Diagnosis(Reason.USER_ERROR, user_error_message(words), exit_code=1, last_words=words)


def ended(words: str) -> ComponentRun:
    """A run that ended with exit code 1 and of whose output its node kept these words."""
    run = make_run(status={"phase": "Running", "attempts": [ATTEMPT]})
    return run.model_copy(update={"status": finished(run, user_error(words), now=NOW)})


def delivered(run: ComponentRun, words: str | None) -> ComponentRunStatus:
    events = EventsStatus(count=3, delivered=True, last_words=words)
    return events_delivered(run.model_copy(update={"status": run.status.model_copy(update={"events": events})}), NOW)


def succeeded(status: ComponentRunStatus) -> str:
    return next(item.message for item in status.conditions if item.type == "Succeeded")


def test_words_that_the_node_has_cut_are_completed_by_the_collector() -> None:
    run = ended(tail(LONG, 2000))
    assert "The cause" not in (run.status.message or "")
    assert needs_last_words(run.status)
    status = delivered(run, LONG)
    assert status.last_words == LONG
    assert status.message == f"The component ended with exit code 1: {LONG.strip()}"
    assert succeeded(status) == status.message
    assert (status.attempts[-1].message or "").startswith("The component ended with exit code 1: The cause")
    assert not needs_last_words(status)


def test_words_that_are_whole_are_not_replaced() -> None:
    run = ended("The password is wrong.")
    assert not needs_last_words(run.status)
    assert delivered(run, "Something else, and longer than that.").last_words == "The password is wrong."


def test_a_collector_that_knows_less_changes_nothing() -> None:
    run = ended(tail(LONG, 2000))
    assert delivered(run, "…").last_words == run.status.last_words


def test_an_application_error_gets_words_and_keeps_its_message() -> None:
    run = make_run(status={"phase": "Running", "attempts": [ATTEMPT]})
    failed = finished(run, Diagnosis(Reason.APPLICATION_ERROR, "Its developer should look.", exit_code=2), now=NOW)
    status = delivered(run.model_copy(update={"status": failed}), LONG)
    assert (status.message, status.last_words) == ("Its developer should look.", LONG)


def test_the_whole_message_is_kept_while_tables_are_published() -> None:
    run = make_run(status={"phase": "StagingOut", "attempts": [ATTEMPT]})
    run = run.model_copy(update={"status": publishing(run, user_error(LONG), NOW)})
    status = published(run, tables=(), warnings=(), now=NOW)
    assert (status.reason, status.message) == ("UserError", f"The component ended with exit code 1: {LONG.strip()}")


@pytest.mark.parametrize("size", [10, MAX_ATTEMPT_MESSAGE, 10_000])
def test_an_attempt_has_the_beginning_of_its_message(size: int) -> None:
    run = ended("x" * size)
    assert len(run.status.attempts[-1].message or "") <= MAX_ATTEMPT_MESSAGE


@given(st.text(alphabet="ab \n…", max_size=200).map(lambda text: text * 60))
def test_all_words_in_a_status_are_bounded(text: str) -> None:
    words = tail(text, MAX_LAST_WORDS)
    status = delivered(ended(tail(text, 2000, was_cut=True)), words or None)
    texts = [status.message, succeeded(status), status.last_words, status.events and status.events.last_words]
    assert sum(len(item or "") for item in texts) <= 2 * (MAX_MESSAGE + MAX_LAST_WORDS) + 200
    assert len(json.dumps(status.to_dict())) < 40_000
