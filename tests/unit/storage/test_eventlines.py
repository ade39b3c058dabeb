"""Lines that are made without objects are those that are made of objects."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from componentrun.storage.events.blocks import Block
from componentrun.storage.events.events import Event, Segment
from componentrun.storage.events.lines import LineWriter

texts = st.text(max_size=30)
params = st.dictionaries(texts, st.recursive(st.none() | st.booleans() | st.integers() | texts, st.lists, max_leaves=5))
kinds = st.sampled_from(["info", "success", "warn", "error"])


@given(texts, texts, texts, texts, params, kinds, st.none() | st.integers(1, 9))
def test_a_line_is_the_same(
    run: str, component: str, message: str, source: str, said: dict[str, Any], kind: Any, attempt: int | None
) -> None:
    time = "2026-11-24T07:46:33.866288610Z"
    event = Event(f"{run}-7", 7, time, run, component, "c-1", kind, message, said, None, source, attempt)
    line = LineWriter().one(7, time, kind, message, said, source, attempt)
    block = Block.of(Segment(run, 7, {}, (event,)))
    assert block.lines == line.encode(errors="backslashreplace")
    assert Block.decode(block.encode(), "here").segment("here").events == (event,)


@given(texts, st.lists(texts), st.none() | st.integers(1, 9))
def test_many_lines_at_once_are_the_same(source: str, messages: list[str], attempt: int | None) -> None:
    writer, times = LineWriter(), [f"2026-11-24T07:46:33.{at:09}Z" for at in range(len(messages))]
    singly = [
        writer.one(at, time, "info", message, {}, source, attempt)
        for at, (time, message) in enumerate(zip(times, messages, strict=True), 998)
    ]
    assert writer.plain(998, times, messages, source, attempt) == "".join(singly)


def test_half_a_surrogate_pair_is_written_as_an_escape() -> None:
    line = LineWriter().one(1, "t", "info", "\ud83d", {}, "component", None)
    assert b"\\ud83d" in line.encode(errors="backslashreplace")
