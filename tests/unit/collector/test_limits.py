"""What a run's component may print, and what is said of the rest."""

from __future__ import annotations

import json

from componentrun.api import names
from componentrun.collector.events.journal import Journal, Limits
from componentrun.collector.readers.api.lines import SECOND
from componentrun.collector.readers.line import Line
from componentrun.collector.runs.lifecycle import LifecycleEvent
from componentrun.core.redact.redactor import Redactor
from tests.unit.collector.reading import KEY, sink_of
from tests.unit.collector.runs import a_run

END = LifecycleEvent("result", 10**18, "success", "Succeeded")


def lines(count: int) -> list[Line]:
    return [Line(number * SECOND, b"0123456789", 41, b"%08d" % number) for number in range(1, count + 1)]


def printed(journal: Journal, count: int, container: str = names.COMPONENT) -> None:
    sink = sink_of(journal, container)
    sink.take(lines(count))
    sink.settle()


def test_lines_beyond_the_most_events_are_counted_and_said() -> None:
    journal = Journal(a_run(), Limits(events=10))
    printed(journal, 25)
    journal.finish(END, Redactor())
    events = journal.take_segment().events
    assert [event.message for event in events[:10]] == ["0123456789"] * 10
    begun, left, end = events[10:]
    assert begun.message == (
        "the run has 10 events, the most that a run may have: what the component prints from here on is left out"
    )
    assert begun.time == "1970-01-01T00:00:11.000000000Z"
    assert (left.type, left.message) == ("warn", "15 lines of 150 bytes were left out: the run printed too much")
    assert left.params == {"lines": 15, "bytes": 150}
    assert end.message == "Succeeded"
    assert journal.problems == [left.message, begun.message]


def test_that_the_run_printed_too_much_is_said_before_all_else_that_is_wrong() -> None:
    """What is shown of the problems is limited; each rotated log is one."""
    journal = Journal(a_run(), Limits(events=10))
    printed(journal, 25)
    for number in range(30):
        journal.problem(LifecycleEvent(f"rotated {number}", 10**18, "warn", f"log {number} was rotated", {}))
    journal.finish(END, Redactor())
    assert journal.problems[0] == "15 lines of 150 bytes were left out: the run printed too much"
    again = Journal.resume(a_run(), journal.next_seq, journal.take_segment().checkpoint, Limits(events=10))
    assert again.problems == journal.problems


def test_lines_beyond_the_most_bytes_are_counted_and_said() -> None:
    journal = Journal(a_run(), Limits(bytes=95))
    printed(journal, 25)
    journal.finish(END, Redactor())
    messages = [event.message for event in journal.take_segment().events]
    assert messages.count("0123456789") == 10
    assert messages[10].startswith("the run has 95 bytes of lines")
    assert messages[11].startswith("15 lines of 150 bytes were left out")


def test_agents_are_heard_all_the_same() -> None:
    journal = Journal(a_run(), Limits(events=1))
    printed(journal, 5, names.STAGE_OUT)
    assert len(journal.take_segment().events) == 5


def test_what_is_left_out_is_read_all_the_same_and_counted_once_after_a_restart() -> None:
    journal = Journal(a_run(), Limits(events=10))
    printed(journal, 25)
    segment = journal.take_segment()
    checkpoint = json.loads(json.dumps(segment.checkpoint))
    again = Journal.resume(a_run(), segment.events[-1].seq + 1, checkpoint, Limits(events=10))
    assert again.position(KEY).lines == 25
    sink = sink_of(again)
    sink.take([Line(30 * SECOND, b"more", 35, b"12345678")])
    sink.settle()
    again.finish(END, Redactor())
    assert [event.message for event in again.take_segment().events] == [
        "16 lines of 154 bytes were left out: the run printed too much", "Succeeded",
    ]  # fmt: skip


def test_a_checkpoint_of_an_earlier_release_knows_of_no_limits() -> None:
    checkpoint = Journal(a_run()).checkpoint()
    del checkpoint["printed"], checkpoint["left"]
    journal = Journal.resume(a_run(), 1, checkpoint)
    journal.finish(END, Redactor())
    assert [event.message for event in journal.take_segment().events] == ["Succeeded"]
