"""Lines out of the node's files: parts, two streams, several files; and going on after the collector's death."""

from __future__ import annotations

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from componentrun.collector.readers.api.lines import KEPT_BYTES, PART_BYTES, nanoseconds_of
from componentrun.collector.readers.line import Cursor, Line
from componentrun.collector.readers.node.lines import CriReader
from componentrun.collector.readers.node.position import FilePosition

FILE = "0-2026-11-24T07:46:33.8662Z"


def read(data: bytes, *, size: int = 0, end: bool = False) -> list[Line]:
    reader = CriReader(FilePosition().cursor)
    reader.begin(FILE, 0)
    size = size or len(data)
    lines = [line for at in range(0, len(data), size) for batch in reader.feed(data[at : at + size]) for line in batch]
    return lines + (reader.rest() if end else [])


def test_a_line_has_its_time_its_stream_and_its_text() -> None:
    (line,) = read(b"2026-11-24T07:46:33.8662886Z stderr F  two words \n")
    assert (line.time, line.stream, line.text) == (1795506393866288600, "stderr", b" two words ")


@pytest.mark.parametrize(
    ("stamp", "nanoseconds"),
    [
        (b"2026-11-24T07:46:33.866288610Z", 1795506393866288610),
        (b"2026-11-24T07:46:33.8Z", 1795506393800000000),
        (b"2026-11-24T07:46:33Z", 1795506393000000000),
        (b"2026-11-24T08:46:33.5+01:00", 1795506393500000000),
    ],
)
def test_times_have_up_to_nine_digits_and_any_zone(stamp: bytes, nanoseconds: int) -> None:
    lines = read(stamp + b" stdout F a\n" + stamp + b" stdout F b\n")
    assert [line.time for line in lines] == [nanoseconds] * 2
    assert nanoseconds_of(stamp) == nanoseconds


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_it_does_not_matter_how_the_bytes_come(size: int) -> None:
    data = (
        b"2026-11-24T07:46:33.8Z stdout F a\n2026-11-24T07:46:33.9Z stdout F \n2026-11-24T07:46:34Z stdout F \xff\r\n"
    )
    assert [line.text for line in read(data, size=size)] == [b"a", b"", b"\xff\r"]


def test_parts_are_joined_by_stream() -> None:
    data = (
        b"2026-11-24T07:46:33.1Z stdout P one \n2026-11-24T07:46:33.2Z stderr F between\n"
        b"2026-11-24T07:46:33.3Z stdout P line \n2026-11-24T07:46:33.4Z stdout F only\n"
    )
    lines = read(data)
    assert [(line.stream, line.text) for line in lines] == [("stderr", b"between"), ("stdout", b"one line only")]
    assert lines[1].time < lines[0].time, "a line's time is that of its first part"


def test_parts_that_nothing_follows_are_lines_at_the_end() -> None:
    data = b"2026-11-24T07:46:33.1Z stdout P no newline\n2026-11-24T07:46:33.2Z stderr P here neither\n"
    assert [line.text for line in read(data, end=True)] == [b"no newline", b"here neither"]
    assert read(data) == []


def test_a_new_start_of_the_container_ends_what_was_not_finished() -> None:
    reader = CriReader(FilePosition().cursor)
    reader.begin(FILE, 0)
    assert list(reader.feed(b"2026-11-24T07:46:33.1Z stdout P cut off\n")) == []
    (line,) = reader.begin("1-2026-11-24T07:46:35Z", 0)
    assert line.text == b"cut off"
    assert line.cursor is not None
    assert Cursor(*line.cursor).start == ("1-2026-11-24T07:46:35Z", 0)


def test_a_rotation_does_not() -> None:
    reader = CriReader(FilePosition().cursor)
    reader.begin(FILE, 0)
    assert list(reader.feed(b"2026-11-24T07:46:33.1Z stdout P one \n")) == []
    assert reader.begin("0-2026-11-24T07:46:35Z", 0) == []
    ((line,),) = reader.feed(b"2026-11-24T07:46:35Z stdout F line\n")
    assert line.text == b"one line"


def test_of_a_very_long_line_the_beginning_is_kept() -> None:
    part = b"2026-11-24T07:46:33.1Z stdout P " + b"x" * PART_BYTES + b"\n"
    (line,) = read(part * 40 + b"2026-11-24T07:46:33.1Z stdout F y\n")
    assert line.text == b"x" * KEPT_BYTES
    assert line.size == 40 * PART_BYTES + 1


def test_of_a_progress_bar_that_goes_on_for_hours_the_last_state_is_kept() -> None:
    bar = b"".join(b"\r%d %%" % number for number in range(200_000))
    parts = [bar[at : at + PART_BYTES] for at in range(0, len(bar), PART_BYTES)]
    data = b"".join(b"2026-11-24T07:46:33.1Z stdout P " + part + b"\n" for part in parts)
    (line,) = read(data + b"2026-11-24T07:46:33.1Z stdout F \rdone\n")
    assert len(line.text) <= KEPT_BYTES
    assert line.text.endswith(b"\rdone")


def test_what_is_no_line_of_cri_is_counted() -> None:
    reader = CriReader(FilePosition().cursor)
    reader.begin(FILE, 0)
    data = (
        b"what?\n2026-11-24T07:46:33.1Z stdin F a\n2026-13-24T07:46:33.1Z stdout F a\n2026-11-24T07:46:33Z stdout F b\n"
    )
    ((line,),) = reader.feed(data)
    assert (line.text, reader.odd) == (b"b", 3)


def test_an_unfinished_line_before_the_place_is_not_lost_when_nothing_follows() -> None:
    data = b"2026-11-24T07:46:33.1Z stdout P no newline\n2026-11-24T07:46:33.2Z stderr F taken\n"
    (taken,) = read(data)
    assert taken.cursor is not None
    place = Cursor(*taken.cursor)
    reader = CriReader(place)
    file, offset = place.start
    assert reader.begin(file, offset) == []
    assert list(reader.feed(data[offset:])) == []
    assert [line.text for line in reader.rest()] == [b"no newline"]


class ReaderMachine(RuleBasedStateMachine):
    """Files are written, read in pieces, and the collector dies at any moment; against what was printed."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[tuple[str, bytes]] = [("0-2026-11-24T07:46:00Z", b"")]
        self.count = 0
        self.finished: list[tuple[str, bytes]] = []
        """What was printed, in the order in which it was finished."""
        self.unfinished: dict[str, bytes] = {}
        self.position, self.stored = FilePosition(), FilePosition().to_json()
        self.taken: list[tuple[str, bytes]] = []
        """Lines that are in events, and how many of them are stored for good."""
        self.safe = 0
        self.reader = CriReader(self.position.cursor)

    @rule(pieces=st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.booleans()), max_size=10))
    def print(self, pieces: list[tuple[str, bool]]) -> None:
        for stream, whole in pieces:
            self.count += 1
            text = b"%d." % self.count
            self._write(stream, b"F" if whole else b"P", text)
            self.unfinished[stream] = self.unfinished.get(stream, b"") + text
            if whole:
                self.finished.append((stream, self.unfinished.pop(stream)))

    @rule()
    def rotate(self) -> None:
        if self.files[-1][1]:
            self.files.append((f"0-2026-11-24T07:{46 + len(self.files) // 60}:{len(self.files) % 60:02}.5Z", b""))

    @rule(size=st.one_of(st.integers(1, 150), st.just(10**6)), batch=st.booleans())
    def read(self, size: int, batch: bool) -> None:
        file, offset = self.reader.file or self.files[0][0], self.reader.asked
        at = next(index for index, (name, _) in enumerate(self.files) if name == file)
        data = self.files[at][1][offset : offset + size]
        if not data and at + 1 < len(self.files):
            file, offset = self.files[at + 1][0], 0
            data = self.files[at + 1][1][:size]
        self._take(self.reader.begin(file, offset))
        for lines in self.reader.feed(data):
            for part in [lines] if batch else [[line] for line in lines]:
                self._take(part)

    @rule()
    def store(self) -> None:
        self.stored, self.safe = json.loads(json.dumps(self.position.to_json())), len(self.taken)

    @rule()
    def die(self) -> None:
        del self.taken[self.safe :]
        self.position = FilePosition.from_json(self.stored)
        self.reader = CriReader(self.position.cursor)

    def _write(self, stream: str, tag: bytes, text: bytes) -> None:
        name, data = self.files[-1]
        line = b"2026-11-24T07:46:33.%09dZ %s %s %s\n" % (self.count, stream.encode(), tag, text)
        self.files[-1] = (name, data + line)

    def _take(self, lines: list[Line]) -> None:
        if lines:
            self.position.add(lines)
            self.taken += [(line.stream or "", line.text) for line in lines]

    def teardown(self) -> None:
        for _ in range(2 * len(self.files) + 2):
            self.read(10**9, batch=True)
        assert self.taken == self.finished
        self._take(self.reader.rest())
        assert sorted(self.taken[len(self.finished) :]) == sorted(self.unfinished.items())
        assert self.position.lines == len(self.taken)


TestCriReader = ReaderMachine.TestCase
TestCriReader.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
