"""What is shown of the end of a program: real endings in endings.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.podstatus.errortext import MAX_MESSAGE, error_sentence, user_error_message

ENDINGS = yaml.safe_load((Path(__file__).parent / "endings.yaml").read_text(encoding="utf-8"))
LINES = sorted({line for ending in ENDINGS for line in ending["printed"].split("\n")})


@pytest.mark.parametrize("ending", ENDINGS, ids=[ending["name"] for ending in ENDINGS])
def test_the_error_s_own_sentence_is_shown(ending: dict[str, str]) -> None:
    assert error_sentence(ending["printed"]) == ending["shown"]


@given(st.lists(st.sampled_from(LINES) | st.text(max_size=30), max_size=40).map("\n".join))
def test_whatever_was_printed_something_of_it_is_shown(printed: str) -> None:
    shown = error_sentence(printed)
    assert bool(shown.strip()) == bool(printed.strip())
    assert len(shown) <= len(printed)


@pytest.mark.parametrize("words", ["The cause. " + "x" * 10_000, "y" * 4001])
def test_a_long_message_keeps_its_beginning(words: str) -> None:
    message = user_error_message(words)
    assert message.startswith(f"The component ended with exit code 1: {words[:3000]}")
    assert message.endswith("…")
    assert len(message) == MAX_MESSAGE + len("The component ended with exit code 1: ")


def test_the_mark_of_what_was_cut_is_not_shown() -> None:
    assert user_error_message("…\nThe password is wrong.").endswith("exit code 1: The password is wrong.")


@pytest.mark.parametrize("words", [None, "", " \n\n", "…\n  "])
def test_a_component_that_printed_nothing(words: str | None) -> None:
    assert "printed nothing" in user_error_message(words)
