"""What one line asks to have hidden is hidden in the next one, however lines are batched, grouped and structured."""

from __future__ import annotations

import json
import re

import pytest

from componentrun.core.redact.redactor import MARK
from tests.unit.collector.test_no_secret_in_an_event import events_of, holds, log_of
from tests.unit.core.secretexamples import PEM_LINES, TRUE, begin, end

VALUE = "correct-horse-battery"


@pytest.mark.parametrize("indent", ["", "  "])
def test_a_mask_within_a_text_of_several_lines_holds_for_the_next_line_of_the_same_batch(indent: str) -> None:
    shown = events_of([log_of("the settings are", f"{indent}::add-mask::{VALUE}", f"it is {VALUE}", "after")], [])
    assert not holds(shown, VALUE), shown


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("indent", ["", "  "])
def test_a_key_that_begins_within_a_text_of_several_lines_is_hidden_to_its_end(indent: str, *, ends: bool) -> None:
    lines = ["the key is", f"{indent}{begin('RSA ')}", *PEM_LINES, *([end("RSA ")] if ends else []), "so it goes on"]
    shown = events_of([log_of(*lines)], [])
    assert not any(holds(shown, line) for line in PEM_LINES), shown
    assert shown[-1] == "so it goes on"


def test_fields_beside_the_lines_of_a_key_do_not_shorten_it() -> None:
    """A logger of JSON prints a key line by line, with many fields beside each line."""
    fields = {f"field{number}": f"value {number}" for number in range(20)}
    lines = [json.dumps({"message": line, **fields}) for line in (begin(), *PEM_LINES * 2, end(), "after")]
    shown = events_of([log_of(*lines)], [])
    assert not any(holds(shown, line) for line in PEM_LINES), shown
    assert "after" in shown


def test_a_key_whose_lines_are_a_field_of_structured_lines_is_hidden() -> None:
    lines = [json.dumps({"message": "a line", "line": line}) for line in (begin(), *PEM_LINES, end(), "after")]
    shown = events_of([log_of(*lines)], [])
    assert not any(holds(shown, line) for line in PEM_LINES), shown
    assert shown.count(MARK) == len(PEM_LINES)
    assert shown[-1] == "after"


@pytest.mark.parametrize("name", ["AWS session token", "PyPI token", "Slack app token", "JWE"])
def test_no_part_of_a_token_is_shown_where_a_very_long_line_is_cut(name: str) -> None:
    """Marks are shorter than tokens, so the end of what was looked at is still within the message."""
    token = TRUE[name]
    for before in range(len(token) + 1):
        (message,) = events_of([log_of("x" * before + (" " + token) * (20_000 // len(token)))], [])
        assert re.fullmatch(r"x*(?: \[redacted\])* ?(?:\[?[redacted]*)?(?: \[cut: \d+ more characters\])?", message), (
            message
        )
