"""Whatever a component prints, however it is cut, and however often a collector begins again: no secret is shown."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.api import names
from componentrun.collector.events.journal import Journal
from componentrun.collector.readers.api.lines import SECOND
from componentrun.collector.readers.api.response import Answer
from componentrun.core.redact.redactor import MARK, Redactor
from tests.unit.collector import node
from tests.unit.collector.reading import KEY, sink_of
from tests.unit.collector.runs import a_run
from tests.unit.core.secretexamples import PEM_LINES, TRUE, begin, end

if TYPE_CHECKING:
    from collections.abc import Sequence

BEGIN = 1_795_506_393 * SECOND
KNOWN = "s3cr3t/value+of=run"
MASKED = "correct-horse-battery"
PLANTED = (KNOWN, MASKED, *PEM_LINES, *TRUE.values())

plain = st.sampled_from(
    ["it goes on", "x" * 3_000, "Traceback (most recent call last):", "panic: no", "done", "{", "}"]
)
wraps = st.sampled_from(["{}", "  {}", "\t{}", "a value: {}", "Caused by: {}", "INFO {} and more"])
shown = st.builds(lambda wrap, secret: [wrap.format(secret)], wraps, st.sampled_from([KNOWN, *TRUE.values()]))
masks = st.builds(
    lambda indent, wrap: [f"{indent}::add-mask::{MASKED}", wrap.format(MASKED)], st.sampled_from(["", " ", "\t"]), wraps
)
keys = st.builds(
    lambda indent, inner, kind, size, others: [
        f"{indent}{begin(kind)}",
        *[line for part in PEM_LINES[:size] for line in (*others, f"{inner}{part}")],
        f"{indent}{end(kind)}",
    ],
    st.sampled_from(["", "  ", "key: "]),
    st.sampled_from(["", "  ", "key: "]),
    st.sampled_from(["", "RSA "]),
    st.integers(1, len(PEM_LINES)),
    st.lists(st.sampled_from(["it goes on", "  at all"]), max_size=2),
)


def as_json(lines: list[str], where: str) -> list[str]:
    fields: dict[str, Any] = {f"field{number}": f"value {number}" for number in range(18)}
    if where == "message":
        return [json.dumps({"message": line, **fields}) for line in lines]
    return [json.dumps({"message": "a line", "within": {"a": [line]}, "line": line, **fields}) for line in lines]


def in_form(parts: list[str], form: str) -> list[str]:
    """The same lines as text or as fields of JSON; a mask is asked for by a message only."""
    is_mask = any("::add-mask::" in part for part in parts)
    return parts if form == "text" else as_json(parts, "message" if is_mask else form)


some = st.builds(
    in_form,
    st.one_of(plain.map(lambda text: [text]), shown, masks, keys),
    st.sampled_from(["text", "message", "field"]),
)


def begin_again(checkpoint: dict[str, Any] | None, next_seq: int) -> tuple[Journal, Redactor]:
    journal = Journal(a_run()) if checkpoint is None else Journal.resume(a_run(), next_seq, checkpoint)
    redactor = Redactor([KNOWN])
    journal.masks.add_pod("pod-uid", b"a key", redactor)
    assert not journal.masks.encrypted
    return journal, redactor


def collect(data: bytes, borders: Sequence[tuple[int, str]]) -> tuple[list[Any], list[str]]:
    """The events and checkpoints of a log that is read in pieces.

    Args:
        data: the log.
        borders: behind so many bytes of it the next piece begins, and what happens there.
    """
    events: list[Any] = []
    checkpoints: list[str] = []
    journal, redactor = begin_again(None, 1)
    sink, at = sink_of(journal, redactor=redactor), 0
    answer = Answer(sink.position)

    def feed(until: int) -> None:
        for lines in answer.feed(data[at:until]):
            sink.take(lines)

    for border, what in [*sorted(borders), (len(data), "end")]:
        feed(border)
        at = border
        if what in {"settle", "end", "write and stop"}:
            sink.settle()
        if what not in {"settle", "stop"} and not journal.empty:
            segment = journal.take_segment()
            events += segment.events
            checkpoints.append(json.dumps(segment.checkpoint))
        if what in {"stop", "write and stop"}:
            # What was read and not written is read again, from the second before on: all of it, here.
            known = json.loads(checkpoints[-1]) if checkpoints else None
            journal, redactor = begin_again(known, events[-1].seq + 1 if events else 1)
            sink, at = sink_of(journal, redactor=redactor), 0
            answer = Answer(sink.position)
            feed(border)
            at = border
    return events, checkpoints


@settings(deadline=None, max_examples=150)
@given(
    st.lists(some, min_size=1, max_size=6),
    st.lists(
        st.tuples(st.integers(0, 10**6), st.sampled_from(["settle", "write", "stop", "write and stop"])), max_size=8
    ),
)
def test_no_event_and_no_checkpoint_shows_a_secret(parts: list[list[str]], borders: list[tuple[int, str]]) -> None:
    lines = [line for part in parts for line in part]
    data = b"".join(node.line(BEGIN + at * 1_000_000, text.encode()) + b"\n" for at, text in enumerate(lines))
    events, checkpoints = collect(data, [(border % len(data), what) for border, what in borders])
    # A word may be printed before it is masked.
    first = next((at for at, line in enumerate(lines) if "::add-mask::" in line), len(lines))
    planted = [secret for secret in PLANTED if secret != MASKED or not any(MASKED in line for line in lines[:first])]
    told = [event for event in events if event.source == names.COMPONENT]
    texts = [json.dumps(asdict(event), ensure_ascii=False).replace(MARK, "\0") for event in told]
    for secret in planted:
        assert not any(secret in text for text in texts), secret
        assert not any(secret in text for text in checkpoints), secret
    assert events
    assert json.loads(checkpoints[-1])["containers"][KEY]["lines"] == len(lines)
