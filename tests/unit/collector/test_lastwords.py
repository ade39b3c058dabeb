"""What is kept of a component's lines for the case that its node loses them."""

from __future__ import annotations

import pytest

from componentrun.collector.lastwords import LastWords
from componentrun.core.results import MAX_LAST_WORDS


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


def test_of_many_lines_whole_ones_are_kept_that_fit() -> None:
    words = heard(*(f"line {number}" for number in range(100_000)))
    text = words.of("pod-1/component") or ""
    assert MAX_LAST_WORDS - 20 < len(text) <= MAX_LAST_WORDS
    assert text.endswith("line 99998\nline 99999")
    assert text.startswith("line ")
    assert len(words._lines) < MAX_LAST_WORDS


def test_of_one_long_line_the_end_is_kept_behind_a_mark() -> None:
    text = heard("x" * 10_000 + "end").of("pod-1/component") or ""
    assert text.startswith("…xxx")
    assert text.endswith("xend")
    assert len(text) == MAX_LAST_WORDS + 1
