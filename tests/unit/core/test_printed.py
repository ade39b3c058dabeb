"""What a container printed, as people read it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.podstatus.printed import plain, plain_value, readable


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"plain", "plain"),
        (b"", ""),
        (b"\ta\tb", "\ta\tb"),
        ("žluťoučký \u2028kůň".encode(), "žluťoučký \u2028kůň"),
        (b"caf\xe9 \xff", "caf\\xe9 \\xff"),
        (b"h\0e\0l\0l\0o\0", "hello"),
        (b"\x1b[1;31mred\x1b[0m and \x1b[38;5;208morange\x1b[m", "red and orange"),
        (b"\x1b]0;a title\x07text", "text"),
        (b"\x1b]8;;https://a.example\x1b\\a link\x1b]8;;\x1b\\", "a link"),
        (b"\x1bPsixel\x1b\\after", "after"),
        (b"\x1b(Bcharset\x1b=", "charset"),
        (b"\x1b]an unfinished one hides nothing", "an unfinished one hides nothing"),
        (b"\x1b[", ""),
        ("\x9b31mred".encode(), "red"),
        (b"\x1b[2K\x1b[1G 10%\r\x1b[2K 20%\r\x1b[2K100%", "100%"),
        (b" 10%\r 20%\r100%\r", "100%"),
        (b"100%\r          \r", "100%"),
        (b"\r\r", ""),
        (b"spinner |\b/\b-\bdone", "spinner done"),
        (b"\b\ba", "a"),
        (b"N\bNA\bAM\bME\bE", "NAME"),
        (b"bell\x07 \x0b\x0c\x7f", "bell "),
    ],
)
def test_lines(printed: bytes, shown: str) -> None:
    assert readable(printed) == shown


def test_each_line_of_a_text_has_its_own_last_state() -> None:
    assert plain("1%\r2%\r\nnext\r\nlast") == "2%\nnext\nlast"


def test_texts_of_a_json_value_are_made_plain_too() -> None:
    value = {"\x1b[1mkey": ["\x1b[31mred\x1b[0m", 1, None, {"a": "b\0c"}], "x": True}
    assert plain_value(value) == {"key": ["red", 1, None, {"a": "bc"}], "x": True}


@given(st.binary(max_size=300))
def test_nothing_that_acts_on_a_terminal_is_left(printed: bytes) -> None:
    shown = readable(printed)
    assert not [
        character for character in shown if (character < " " and character not in "\t\n") or character == "\x7f"
    ]
    assert not [character for character in shown if "\x80" <= character <= "\x9f"]


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"]), max_size=300))
def test_text_without_control_characters_stays_as_it_is(text: str) -> None:
    assert readable(text.encode()) == text


def test_half_a_surrogate_pair_is_shown_as_an_escape_and_a_whole_one_is_a_character() -> None:
    told = json.loads(r'{"half \ud83d": "\udc00 and \ud83d\ude00", "nested": ["\ud800"]}')
    shown = plain_value(told)
    assert shown == {r"half \ud83d": r"\udc00 and 😀", "nested": [r"\ud800"]}
    assert json.dumps(shown, ensure_ascii=False).encode()
