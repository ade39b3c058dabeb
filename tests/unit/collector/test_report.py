"""What a run's status says once its events are in Storage."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from componentrun.collector.runs.report import delivered
from tests.unit.collector.runs import a_run, ended_run

if TYPE_CHECKING:
    from componentrun.collector.runs.facts import RunFacts

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
OTHER = {
    "type": "Succeeded", "status": "True", "reason": "Succeeded", "lastTransitionTime": "2026-11-24T07:00:12Z",
}  # fmt: skip


def test_the_condition_goes_with_it_and_the_others_stay() -> None:
    body = delivered(ended_run(conditions=[OTHER]), 3, "", None, NOW)
    assert body["metadata"] == {"resourceVersion": "1"}
    assert body["status"]["events"] == {"count": 3, "delivered": True, "message": ""}
    first, second = body["status"]["conditions"]
    assert first["type"] == "Succeeded"
    assert (second["type"], second["status"], second["reason"]) == ("EventsDelivered", "True", "Delivered")
    assert (second["message"], second["lastTransitionTime"]) == ("3 events.", "2026-11-24T08:00:00Z")


def test_words_that_the_status_lacks_are_left_to_the_operator_with_the_condition() -> None:
    body = delivered(ended_run(conditions=[OTHER]), 1, "", "out of disk", NOW)
    told = {"events": {"count": 1, "delivered": True, "message": "", "lastWords": "out of disk"}}
    assert body == {"metadata": {"resourceVersion": "1"}, "status": told}


def test_a_condition_that_is_there_stays_as_it_is() -> None:
    known = {**OTHER, "type": "EventsDelivered", "status": "False", "reason": "WaitEnded"}
    assert "conditions" not in delivered(ended_run(conditions=[OTHER, known]), 1, "", None, NOW)["status"]


def test_a_run_that_goes_on_gets_no_condition() -> None:
    assert "conditions" not in delivered(a_run(phase="Running"), 1, "", None, NOW)["status"]


@pytest.mark.parametrize("words", [None, "out of disk"])
@pytest.mark.parametrize(
    "run",
    [
        a_run(phase="Running"),
        ended_run(conditions=[OTHER]),
        ended_run(conditions=[{**OTHER, "type": "EventsDelivered"}]),
    ],
)
def test_a_later_run_of_the_name_is_not_said_to_be_delivered(run: RunFacts, words: str | None) -> None:
    """Its own events would be left out then. Another version is refused by the API server, and so is another run's."""
    assert delivered(run, 1, "", words, NOW)["metadata"] == {"resourceVersion": run.version}
