"""Many lines at once become the same segments as one line after the other, whatever is printed, however it comes."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun import contract
from componentrun.api import names
from componentrun.collector.events.journal import Journal, Limits
from componentrun.collector.readers import grouping
from componentrun.collector.readers.api.lines import SECOND, stamp_of
from componentrun.collector.readers.grouping import Block, Grouper
from componentrun.collector.readers.node.lines import CriReader
from componentrun.collector.readers.node.position import BEGINNING, FilePosition
from componentrun.collector.runs.facts import pod_facts
from componentrun.collector.runs.lifecycle import LifecycleEvent
from componentrun.core.redact.redactor import MARK, Redactor
from tests.unit.collector.reading import KEY, sink_of
from tests.unit.collector.runs import a_run, raw_pod

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from componentrun.collector.events.segment import ReadySegment
    from componentrun.collector.readers.line import Line

BEGIN = 1_795_506_393 * SECOND
FILE = "0-2026-11-24T07:46:33.8662Z"
SECRET = "hunter2-ä€ x"
SECRETS = [SECRET, "begin of a key\nmiddle of it\nend of it"]
TRACE = [b"Traceback (most recent call last):", b'  File "x", line 1', b"    x()", b"ValueError: no", b"", b"Next "]
PARTS = [
    *TRACE, b"panic: x", b"main.main()", b"goroutine 1 [", b"Error in x", b"Calls: ", b"#0 x", b"{", b"}", b"[", b"]",
    b"plain", b"Total", b"Started", b"\x1b[31mred\x1b[0m", b"10 %\r20 %", b"\r", b"a\bb", b"\0", b"\xff", b"\t",
    b"\x85", "žluťoučký € \U0001f600 \u2028".encode(), b'say "x"', b"back\\slash", b"%41 &amp;",
    b"x-amz-signature=abc", json.dumps({"message": "m", "level": "error", "n": 1}).encode(), b'{"n": 1}',
    b'{"msg": "\\ud83d"}',
    *(line.encode() for value in SECRETS for line in value.split("\n")), SECRET.encode()[:9], SECRET.encode()[9:],
    base64.b64encode(b"user:" + SECRET.encode()), json.dumps({"message": SECRET}).encode(),
    b"x" * contract.EVENT_MESSAGE_LIMIT, b"y" * (contract.EVENT_MESSAGE_LIMIT + 1),
]  # fmt: skip

texts = st.one_of(
    st.sampled_from(PARTS),
    st.lists(st.sampled_from(PARTS), min_size=2, max_size=3).map(b" ".join),
    st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")),
)
printed = st.lists(
    st.tuples(
        texts,
        st.sampled_from([1, 1000, SECOND // 7, SECOND, -SECOND // 3]),
        st.sampled_from([b"stdout", b"stdout", b"stdout", b"stderr"]),
        st.sampled_from([b"F", b"F", b"F", b"F", b"P"]),
    ),
    max_size=60,
)
happenings = st.dictionaries(st.integers(0, 5), st.sampled_from(["cut", "told", "gelf", "settle"]), max_size=5)


def in_a_file(lines: Sequence[tuple[bytes, int, bytes, bytes]]) -> bytes:
    """As the runtime writes it."""
    now, data = BEGIN, b""
    for text, step, stream, tag in lines:
        now += step
        stamp = stamp_of(now)[:-1].rstrip("0").rstrip(".").encode()
        data += b"%sZ %s %s %s\n" % (stamp, stream, tag, text)
    return data


def segments(chunks: Sequence[bytes], happen: dict[int, str], limits: Limits, *, at_once: bool) -> list[ReadySegment]:
    """What becomes of these pieces of a file, while other things happen."""
    journal, redactor, found = Journal(a_run(), limits), Redactor(SECRETS), []
    journal.begin(KEY, FilePosition())
    sink, gelf = sink_of(journal, redactor=redactor), sink_of(journal, names.GELF, redactor)
    settle: Callable[[], Any] = sink.settle
    if at_once:
        take: Callable[[list[Line]], Any] = sink.take
    else:
        take, settle = singly(journal, redactor)
    reader = CriReader(BEGINNING)
    reader.begin(FILE, 0)
    for at, chunk in enumerate(chunks):
        for lines in reader.feed(chunk):
            take(lines)
        match happen.get(at):
            case "cut" if not journal.empty:
                found.append(journal.take_segment())
            case "told":
                journal.add_lifecycle(LifecycleEvent(f"t{at}", BEGIN + at * 1000, "info", SECRET), redactor)
            case "gelf":
                gelf.take(
                    [
                        line
                        for lines in CriReader(BEGINNING).feed(in_a_file([(b"gelf", 2, b"stdout", b"F")]))
                        for line in lines
                    ]
                )
            case "settle":
                settle()
    take(reader.rest())
    settle()
    journal.finish(LifecycleEvent("end", BEGIN, "success", "Succeeded"), redactor)
    return [*found, journal.take_segment()]


def singly(journal: Journal, redactor: Redactor) -> tuple[Callable[[list[Line]], None], Callable[[], None]]:
    """Takes line by line, and what is held."""
    grouper = Grouper()

    def give(released: tuple[Sequence[Any], Sequence[Line]]) -> None:
        groups, lines = released
        if lines:
            journal.take(
                KEY, groups, lines, redactor, source=names.COMPONENT, attempt=pod_facts(raw_pod()).attempt, limited=True
            )

    def take(lines: list[Line]) -> None:
        for line in lines:
            if (released := grouper.take(line)) is not None:
                give(released)

    return take, lambda: give(grouper.flush())


@settings(deadline=None, max_examples=300)
@given(
    printed,
    st.lists(st.integers(0, 10**6), max_size=5),
    happenings,
    st.sampled_from([Limits(), Limits(), Limits(events=20), Limits(bytes=300)]),
    st.sampled_from([1, 1, 8]),
)
def test_the_same_segments(
    lines: list[tuple[bytes, int, bytes, bytes]], cuts: list[int], happen: dict[int, str], limits: Limits, few: int
) -> None:
    data = in_a_file(lines)
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    chunks = [data[begin:end] for begin, end in pairwise(borders)]
    with patch.object(grouping, "_FEW", few):
        quick = segments(chunks, happen, limits, at_once=True)
    slow = segments(chunks, happen, limits, at_once=False)
    assert [cut.lines() for cut in quick] == [cut.lines() for cut in slow]
    for one, other in zip(quick, slow, strict=True):
        assert one.checkpoint == other.checkpoint
        assert (one.first_seq, one.last_seq, one.events) == (other.first_seq, other.last_seq, other.events)
        assert (one.ends, one.counts, one.oldest, one.size) == (other.ends, other.counts, other.oldest, other.size)


def test_lines_that_stand_alone_are_taken_as_a_block() -> None:
    data = in_a_file([(b"line %d" % number, 1, b"stdout", b"F") for number in range(100)])
    reader = CriReader(BEGINNING)
    reader.begin(FILE, 0)
    ((block,), behind) = Grouper().take_all([line for lines in reader.feed(data) for line in lines])
    assert isinstance(block, Block)
    assert block.texts == [f"line {number}" for number in range(99)]
    assert [line.time for line in behind] == block.times


def test_a_block_with_a_secret_is_redacted_line_by_line() -> None:
    printed = [b"before", f"it is {SECRET}".encode(), *[b"after"] * 20]
    (segment,) = segments([in_a_file([(text, 1, b"stdout", b"F") for text in printed])], {}, Limits(), at_once=True)
    assert [event.message for event in segment.events][:4] == ["before", f"it is {MARK}", "after", "after"]
