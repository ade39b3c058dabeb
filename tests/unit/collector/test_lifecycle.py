"""A run's status as events."""

from __future__ import annotations

import pytest

from componentrun.api.durations import duration_text
from componentrun.collector.events.journal import Journal
from componentrun.collector.readers.line import Line
from componentrun.collector.runs import lifecycle
from componentrun.collector.runs.facts import run_facts
from componentrun.collector.runs.lifecycle import LifecycleEvent
from componentrun.core.redact.redactor import Redactor
from tests.unit.collector.reading import sink_of
from tests.unit.collector.runs import ENDED, UID, a_run, ended_run, raw_run


def test_phases_are_told_in_order_and_the_end_is_not_among_them() -> None:
    told = list(lifecycle.progress(ended_run()))
    assert [item.message for item in told] == ["the run was accepted", "the component is running"]


def test_each_phase_says_how_long_the_one_before_it_took() -> None:
    told = list(lifecycle.progress(ended_run()))
    assert [item.params for item in told] == [
        {"phase": "Queued"},
        {"phase": "Running", "ended": "Queued", "seconds": 6.25},
    ]
    assert lifecycle.result(ended_run()).params["phases"] == {"Queued": 6.25, "Running": 7.25}


def test_what_a_phase_took_in_several_attempts_is_added_up() -> None:
    times = [("Queued", 0), ("Pending", 1), ("Running", 3), ("Queued", 10), ("Pending", 30), ("Succeeded", 31)]
    phases = [{"phase": phase, "startTime": f"2026-11-24T07:00:{at:02}Z"} for phase, at in times]
    assert lifecycle.result(ended_run(phases=phases)).params["phases"] == {"Queued": 21, "Pending": 3, "Running": 7}


def test_what_was_published_is_told_with_rows_bytes_and_how_long_it_took() -> None:
    run = ended_run(
        phases=[*ENDED["phases"][:2], {"phase": "Publishing", "startTime": "2026-11-24T07:00:12Z"}],
        conditions=[published("True", "1 table, 5 rows.")],
        outputTables=[{"table": "out.c-main.words", "rows": 5, "bytes": 70}],
    )
    told = list(lifecycle.progress(run))[-1]
    assert (told.key, told.message) == ("published", "published: 1 table, 5 rows.")
    tables = [{"table": "out.c-main.words", "rows": 5, "bytes": 70}]
    assert told.params == {"ended": "Publishing", "seconds": 0.5, "tables": tables}
    assert told.time < lifecycle.result(run).time + 1


def test_nothing_is_told_to_be_published_where_nothing_was() -> None:
    run = ended_run(conditions=[published("False", "Nothing was published.")])
    assert "published" not in [item.key for item in lifecycle.progress(run)]


def published(status: str, message: str) -> dict[str, str]:
    moment = "2026-11-24T07:00:12.500001Z"
    condition = {"type": "Published", "status": status, "reason": "Published", "message": message}
    return condition | {"lastTransitionTime": moment}


def test_a_run_that_is_started_at_once_was_accepted_when_its_object_was_created() -> None:
    raw = raw_run(phases=[{"phase": "Pending", "startTime": "2026-11-24T07:00:01.5Z"}])
    raw["metadata"]["creationTimestamp"] = "2026-11-24T07:00:01Z"
    accepted, pending = lifecycle.progress(run_facts(raw))
    assert (accepted.message, accepted.params) == ("the run was accepted", {"phase": "Queued"})
    assert pending.params == {"phase": "Pending", "ended": "Queued", "seconds": 0.5}


def test_running_names_the_image_that_runs() -> None:
    run = ended_run(image="r.example.com/c:1", imageID="r.example.com/c@sha256:0b")
    told = list(lifecycle.progress(run))[1]
    assert told.message == "the component is running: r.example.com/c@sha256:0b"
    assert told.params == {
        "phase": "Running",
        "ended": "Queued",
        "seconds": 6.25,
        "image": "r.example.com/c:1",
        "imageID": "r.example.com/c@sha256:0b",
    }


def test_attempts_that_were_replaced_are_told() -> None:
    times = {"startTime": "2026-11-24T07:00:00Z", "completionTime": "2026-11-24T07:00:01Z"}
    attempts = [
        {"number": 1, "pod": "clean-1", "reason": "Evicted", "message": "The node ran short", **times},
        {"number": 2, "pod": "clean-2", "startTime": "2026-11-24T07:00:02Z"},
    ]
    (told,) = lifecycle.progress(a_run(attempts=attempts))
    assert (told.type, told.message) == ("warn", "attempt 1 ended: The node ran short")
    assert told.params == {"attempt": 1, "pod": "clean-1", "reason": "Evicted", "seconds": 1}


def test_a_stop_is_told() -> None:
    stop = {"reason": "Timeout", "message": "It ran longer than 5m", "time": "2026-11-24T07:00:00Z"}
    (told,) = lifecycle.progress(a_run(termination=stop))
    assert told.message == "the attempt is being stopped: It ran longer than 5m"


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        ({}, "success", "Succeeded after 12s: All is well"),
        ({"result": "Warning"}, "warn", "Succeeded after 12s: All is well"),
        (
            {"phase": "Failed", "result": "Error", "reason": "UserError", "message": "Bad key"},
            "error",
            "Failed after 12s: Bad key",
        ),
        ({"phase": "Cancelled", "result": None, "message": None}, "error", "Cancelled after 12s"),
    ],
)
def test_the_result(status: dict[str, str], kind: str, message: str) -> None:
    told = lifecycle.result(ended_run(**status))
    assert (told.type, told.message) == (kind, message)
    assert told.params["seconds"] == 12.5


def test_each_is_told_once_also_after_a_restart() -> None:
    run, redactor = ended_run(), Redactor()
    journal = Journal(run)
    for _ in range(2):
        for told in lifecycle.progress(run):
            journal.add_lifecycle(told, redactor)
    segment = journal.take_segment()
    assert [event.id for event in segment.events] == [f"{UID}-1", f"{UID}-2"]
    again = Journal.resume(run, 3, segment.checkpoint)
    for told in lifecycle.progress(run):
        assert not again.add_lifecycle(told, redactor)
    again.finish(lifecycle.result(run), redactor)
    assert again.finished
    (last,) = again.take_segment().events
    assert (last.seq, last.source, last.time) == (3, "operator", "2026-11-24T07:00:12.500001000Z")


def test_a_checkpoint_of_a_later_release_is_refused() -> None:
    with pytest.raises(ValueError, match="format 99"):
        Journal.resume(a_run(), 1, {"format": 99})


def test_texts_of_the_status_are_redacted_too() -> None:
    journal = Journal(a_run())
    journal.finish(lifecycle.result(ended_run(message="it is hunter2")), Redactor(["hunter2"]))
    assert "hunter2" not in repr(journal.take_segment())


def test_in_a_segment_events_stand_in_the_order_of_time_and_those_of_one_source_as_they_came() -> None:
    journal, redactor = Journal(a_run()), Redactor()

    def line(source: str, time: int) -> None:
        sink = sink_of(journal, source)
        sink.take([Line(time, f"{time}".encode(), 3, b"digest")])
        sink.settle()

    for source, time in [("stage-out", 900), ("component", 300), ("component", 500), ("component", 400)]:
        line(source, time)
    journal.add_lifecycle(LifecycleEvent("Running", 200, "info", "running"), redactor)
    journal.finish(LifecycleEvent("result", 600, "info", "over"), redactor)
    events = journal.take_segment().events
    assert [event.message for event in events] == ["running", "300", "500", "400", "900", "over"]
    assert [(event.seq, event.id) for event in events] == [(n, f"{UID}-{n}") for n in range(1, 7)]
    line("component", 100)
    assert [(event.seq, event.message) for event in journal.take_segment().events] == [(7, "100")]


@pytest.mark.parametrize("microseconds", [249_600, 250_400, 949_600, 950_400])
def test_the_message_and_the_parameters_of_the_result_name_the_same_duration(microseconds: int) -> None:
    run = ended_run(startTime="2026-11-24T07:00:01Z", completionTime=f"2026-11-24T07:00:08.{microseconds}Z")
    event = lifecycle.result(run)
    assert event.message.startswith(f"Succeeded after {duration_text(event.params['seconds'])}")
