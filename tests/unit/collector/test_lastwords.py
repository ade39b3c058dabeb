"""What is kept of a component's lines for the case that its node loses them."""

from __future__ import annotations

import pytest

from componentrun.collector.runs.lastwords import LastWords
from componentrun.core.podstatus.results import MAX_LAST_WORDS


def heard(*lines: str, container: str = "pod-1/component") -> LastWords:
    words = LastWords()
    for line in lines:
        words.add(container, line)
    return words


def test_it_is_the_end_of_what_was_said() -> None:
    assert heard("one", "two").of("pod-1/component") == "one\ntwo"


@pytest.mark.parametrize("lines", [(), ("",), (" ", "")])
def test_who_said_nothing_has_none(lines: tuple[str, ...]) -> None:
    assert heard(*lines).of("pod-1/component") is None


def test_another_attempt_begins_anew() -> None:
    words = heard("of the first")
    words.add("pod-2/component", "of the second")
    assert words.of("pod-2/component") == "of the second"
    assert words.of("pod-1/component") is None


def test_of_many_lines_whole_ones_are_kept_that_fit_behind_a_mark() -> None:
    words = heard(*(f"line {number}" for number in range(100_000)))
    text = words.of("pod-1/component") or ""
    assert MAX_LAST_WORDS - 20 < len(text) <= MAX_LAST_WORDS + 2
    assert text.endswith("line 99998\nline 99999")
    assert text.startswith("…\nline ")
    assert len(words._lines) < MAX_LAST_WORDS


def test_lines_that_come_together_are_kept_as_those_that_come_alone() -> None:
    words = LastWords()
    words.extend("pod-1/component", [f"line {number}" for number in range(100_000)])
    assert words.of("pod-1/component") == heard(*(f"line {number}" for number in range(100_000))).of("pod-1/component")


def test_of_one_long_error_the_beginning_and_the_end_are_kept() -> None:
    text = heard("begin" + "x" * 10_000 + "end").of("pod-1/component") or ""
    assert text.startswith("beginxxx")
    assert "x…x" in text
    assert text.endswith("xend")
    assert len(text) == MAX_LAST_WORDS + 1
