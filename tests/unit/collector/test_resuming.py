"""Whatever happens between the node and the store, every line is in the segments once, and in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from componentrun.collector.events.journal import Journal
from componentrun.collector.readers.api import position
from componentrun.collector.readers.api.lines import SECOND
from componentrun.collector.readers.api.response import Answer
from componentrun.core.podstatus.printed import readable
from componentrun.storage.events.blocks import Block
from componentrun.storage.events.events import Event, Segment
from tests.unit.collector.node import NodeLog
from tests.unit.collector.reading import KEY, read, sink_of
from tests.unit.collector.runs import a_run

BEGIN = 1_795_506_393 * SECOND
OVERTAKING = 6_200_000
"""Nanoseconds: the worst that was measured between stdout and stderr."""
TRACEBACK = [b"Traceback (most recent call last):", b'  File "x", line 1', b"    x()", b"ValueError: no", b""]
TO_NEXT_SECOND = -1
"""Overtaking matters most where the second changes, as requests resume at a second."""


def decoded(data: bytes) -> Segment:
    return Block.decode(data, "here").segment("here")


class ReaderMachine(RuleBasedStateMachine):
    """A log is written, read, dropped, and the collector dies at any moment; against the list of what was printed."""

    def __init__(self) -> None:
        super().__init__()
        self.node = NodeLog()
        self.now = BEGIN
        self.store: list[bytes] = []
        self.journal = Journal(a_run())
        self.sink = sink_of(self.journal)
        self.answer: Answer | None = None
        self.floor = 0
        self.sent = 0
        """Bytes of the open answer that were read."""

    # --- the container

    @rule(
        steps=st.lists(
            st.tuples(
                st.sampled_from([0, 0, 1, 900, 40_000_000, 700_000_000, 1_600_000_000, TO_NEXT_SECOND]),
                st.sampled_from([0, 0, 0, 1_000_000, OVERTAKING]),
                st.sampled_from(
                    [
                        b"",
                        b"same",
                        b"same",
                        b"x" * 40,
                        b"{}",
                        "ž\r\x85".encode(),
                        b"\xff",
                        b'{"message": "m"}',
                        *TRACEBACK,
                        *TRACEBACK,
                        b"\tat a.B(C.java:1)",
                        b"Caused by: x",
                        b"goroutine 1 [running]:",
                        b"panic: x",
                        b"main.main()",
                        b"{",
                        b"}",
                        b"#0 {main}",
                        b"Stack trace:",
                    ]
                ),
            ),
            max_size=12,
        )
    )
    def print_lines(self, steps: list[tuple[int, int, bytes]]) -> None:
        for step, back, text in steps:
            self.now += step if step != TO_NEXT_SECOND else SECOND - self.now % SECOND
            self.node.write(max(self.now - back, BEGIN), text)

    @rule(count=st.integers(1, 60), text=st.sampled_from([b"many", b"%d"]))
    def print_many(self, count: int, text: bytes) -> None:
        for number in range(count):
            self.now += 20_000
            self.node.write(self.now, text.replace(b"%d", b"%d" % number))

    # --- the connection

    @precondition(lambda self: self.answer is None)
    @rule()
    def open(self) -> None:
        self.answer = Answer(self.journal.position(KEY))
        self.floor, self.sent = self.journal.position(KEY).floor, 0

    @precondition(lambda self: self.answer is not None)
    @rule(size=st.one_of(st.integers(1, 90), st.just(10**6)))
    def read(self, size: int) -> None:
        chunk = self.node.answer(self.floor)[self.sent : self.sent + size]
        self.sent += len(chunk)
        self._take(chunk)

    @precondition(lambda self: self.answer is not None)
    @rule()
    def drop(self) -> None:
        self.sink.settle()
        self.answer = None

    # --- the collector

    @rule()
    def fall_silent(self) -> None:
        self.sink.settle()

    @precondition(lambda self: not self.journal.empty)
    @rule()
    def write_segment(self) -> None:
        segment = self.journal.take_segment()
        self.store.append(Block.of(Segment("uid", segment.first_seq, segment.checkpoint, segment.events)).encode())

    @rule()
    def die(self) -> None:
        self.answer = None
        self.journal = Journal(a_run())
        if self.store:
            last = decoded(self.store[-1])
            self.journal = Journal.resume(a_run(), last.next_seq, last.checkpoint)
        self.sink = sink_of(self.journal)

    # --- what must hold

    def _take(self, chunk: bytes) -> None:
        assert self.answer is not None
        for lines in self.answer.feed(chunk):
            self.sink.take(lines)
        assert not self.answer.problem
        assert self.answer.jumped is None

    def stored(self) -> list[Event]:
        return [event for data in self.store for event in decoded(data).events]

    def printed(self) -> list[str]:
        """As events show it: what is no text is gone, and messages of JSON are taken out."""
        shown = [readable(text) for text in self.node.printed]
        return ["m" if text == '{"message": "m"}' else text for text in shown]

    @invariant()
    def what_is_stored_is_a_beginning_of_what_was_printed(self) -> None:
        lines = lines_in(self.stored())
        assert lines == self.printed()[: len(lines)]

    def teardown(self) -> None:
        """Read what is left."""
        if self.answer is None:
            self.open()
        self.read(10**9)
        assert self.answer is not None
        assert self.answer.gap is None
        self.sink.settle()
        if not self.journal.empty:
            self.write_segment()
        events = self.stored()
        assert lines_in(events) == self.printed()
        assert [event.seq for event in events] == list(range(1, len(events) + 1))


def lines_in(events: list[Event]) -> list[str]:
    return [line for event in events for line in event.message.split("\n")]


TestResuming = ReaderMachine.TestCase
TestResuming.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


def lines_of(answer: Answer, data: bytes) -> list[bytes]:
    return [line.text for lines in answer.feed(data) for line in lines]


@pytest.mark.parametrize("limit", [3, 40])
def test_lines_that_are_only_counted_are_taken_off_too(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(position, "EXACT_LINES", limit)
    node, journal = NodeLog(), Journal(a_run())
    for number in range(100):
        node.write(BEGIN + number * 1_000_000, b"%d" % number)
    assert read(node, journal).fresh == 100
    checkpoint = journal.checkpoint()
    resumed = Journal.resume(a_run(), 101, checkpoint)
    for number in range(100, 110):
        node.write(BEGIN + number * 1_000_000, b"%d" % number)
    answer = read(node, resumed)
    assert answer.fresh == 10
    assert answer.gap is None
    assert len(str(checkpoint)) < 1_100


def test_a_checkpoint_does_not_grow_with_the_rate() -> None:
    node, journal = NodeLog(), Journal(a_run())
    for number in range(20_000):
        node.write(BEGIN + number * 25_000, b"%d" % number)
    read(node, journal)
    assert len(str(journal.checkpoint())) < 50_000


def test_a_line_that_was_overtaken_across_the_change_of_the_second_is_read() -> None:
    node, journal = NodeLog(), Journal(a_run())
    node.write(BEGIN + SECOND, b"stdout")
    read(node, journal)
    node.write(BEGIN + SECOND - OVERTAKING, b"stderr")
    assert read(node, journal).fresh == 1


class TestRotation:
    """A new request reads the newest file only."""

    def filled(self) -> tuple[NodeLog, Journal]:
        node, journal = NodeLog(), Journal(a_run())
        for number in range(5):
            node.write(BEGIN + number, b"old %d" % number)
        read(node, journal)
        return node, journal

    def test_new_lines_without_the_last_one_seen_may_hide_a_gap(self) -> None:
        node, journal = self.filled()
        node.rotate()
        node.write(BEGIN + 100, b"new")
        answer = read(node, journal)
        assert answer.fresh == 1
        assert answer.gap is not None
        assert (answer.gap.after, answer.gap.before) == (BEGIN + 4, BEGIN + 100)

    def test_nothing_new_is_no_gap(self) -> None:
        node, journal = self.filled()
        node.rotate()
        assert read(node, journal).gap is None

    def test_the_last_line_seen_in_the_new_file_is_no_gap(self) -> None:
        node, journal = self.filled()
        last = node.file[-1]
        node.rotate()
        node.file.append(last)
        node.write(BEGIN + 100, b"new")
        answer = read(node, journal)
        assert (answer.fresh, answer.gap) == (1, None)

    def test_a_restarted_container_begins_a_new_file_without_a_gap(self) -> None:
        node, journal = self.filled()
        node.rotate()
        node.write(BEGIN + 100, b"new")
        place = journal.position(KEY)
        answer = Answer(place, same_file=False)
        assert lines_of(answer, node.answer(place.floor)) == [b"new"]
        assert answer.gap is None

    def test_lines_from_the_past_end_the_answer(self) -> None:
        node, journal = self.filled()
        node.write(BEGIN + 10 * SECOND, b"later")
        node.write(BEGIN + 3 * SECOND, b"from the past")
        node.write(BEGIN + 11 * SECOND, b"not read")
        answer = read(node, journal)
        assert answer.fresh == 1
        assert answer.jumped == BEGIN + 3 * SECOND
        assert answer.over

    def test_a_clock_that_is_set_back_goes_on_from_there(self) -> None:
        node, journal = self.filled()
        node.write(BEGIN + 3600 * SECOND, b"before")
        node.write(BEGIN + 10 * SECOND, b"set back")
        jumped = read(node, journal).jumped
        assert jumped is not None
        journal.position(KEY).rebase(jumped)
        for number in range(3):
            node.write(BEGIN + (11 + number) * SECOND, b"after %d" % number)
        answer = read(node, journal)
        assert answer.fresh == 4
        assert [event.message for event in journal.take_segment().events][-4:] == [
            "set back",
            "after 0",
            "after 1",
            "after 2",
        ]


class TestLongLines:
    """A line in parts whose first is older than the resumed request comes back as its tail."""

    def test_the_tail_of_a_line_that_was_read_is_not_read_again(self) -> None:
        node, journal = NodeLog(), Journal(a_run())
        text = b"".join(b"%07d\n" % number for number in range(10_000)).replace(b"\n", b".")
        node.write(BEGIN, text)
        node.write(BEGIN + 5 * SECOND, b"next")
        read(node, journal)
        node.file[0] = (BEGIN + int(4.5 * SECOND), text[3 * 16384 :])
        journal = Journal.resume(a_run(), 3, journal.checkpoint())
        assert read(node, journal).fresh == 0

    def test_an_equal_text_that_is_printed_later_is_read(self) -> None:
        node, journal = NodeLog(), Journal(a_run())
        text = b"x" * 40_000
        node.write(BEGIN, text)
        read(node, journal)
        node.write(BEGIN + SECOND // 2, text[16384:])
        assert read(node, journal).fresh == 1


class TestTheKubeletsOwnWords:
    """They come with HTTP 200, without a timestamp, mostly without a newline."""

    @pytest.mark.parametrize("end", [b"", b"\n"])
    def test_they_are_no_line_and_end_the_answer(self, end: bytes) -> None:
        answer = Answer(position.Position())
        words = b"unable to retrieve container logs for containerd://4711"
        assert lines_of(answer, b"2026-11-24T07:46:33.866288610Z a\n" + words + end) == [b"a"]
        assert answer.last() is None
        assert answer.problem == words.decode()

    def test_a_last_line_without_a_newline_is_a_line(self) -> None:
        answer = Answer(position.Position())
        assert lines_of(answer, b"2026-11-24T07:46:33.866288610Z a") == []
        last = answer.last()
        assert last is not None
        assert last.text == b"a"
        assert not answer.problem


def test_folding_machine_loses_nothing_without_overtaking(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 40 lines of memory the overtaking of a burst could reach further than that; so here lines are in order."""
    monkeypatch.setattr(position, "EXACT_LINES", 40)
    node, journal, store = NodeLog(), Journal(a_run()), []
    for round_number in range(30):
        for number in range(37):
            node.write(BEGIN + round_number * 300_000_000 + number * 1_000, b"%d" % number)
        read(node, journal)
        if round_number % 3 == 0:
            store.append(journal.take_segment())
        if round_number % 4 == 3:
            last: Any = store[-1]
            journal = Journal.resume(a_run(), last.events[-1].seq + 1, last.checkpoint)
    read(node, journal)
    store.append(journal.take_segment())
    events = [event for segment in store for event in segment.events]
    assert [event.message for event in events] == [text.decode() for text in node.printed]
