r"""Escapes are undone, and where they stood is known."""

from __future__ import annotations

import html
import json
import shlex
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.redact.escapes import readings, spells


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (r"a\"b", 'a"b'),
        (r"\u0061\u00e4\u00E4", "aää"),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\U0001f600\u{1f600}", "\U0001f600\U0001f600"),
        (r"\xc3\xa4\x41", "äA"),
        (r"\xe4", "ä"),
        (r"\xe4\xc3\xa4", "ää"),
        (r"\303\244", "ä"),
        (r"a\nb\tc", "a\nb\tc"),
        (r"\ \&\$", " &$"),
        (r"C:\Users\q", r"C:\Users\q"),
        (r"\ud83d alone", "\ud83d alone"),
        (r"\U99999999", r"\U99999999"),
        ("%C3%a4%41%2f", "äA/"),
        ("100% of %zz", "100% of %zz"),
        ("&auml;&#228;&#xE4;&#0228;", "ääää"),
        ("&lt;a&gt;&quot;&#39;&apos;&amp;", "<a>\"''&"),
        ("a & b; &nosuch;", "a & b; &nosuch;"),
        ("&#99999999;", "\ufffd"),
    ],
)
def test_escapes_are_undone(text: str, wanted: str) -> None:
    assert wanted in [reading.text for reading in readings(text)]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(json.dumps('a"ä/b')),
        quote(quote('a"ä/b', safe="")),
        html.escape(html.escape('a"ä/b')),
        quote(json.dumps('a"ä/b')),
        json.dumps(html.escape('a"ä/b')),
        html.escape(json.dumps('a"ä/b')),
        repr(json.dumps('a"ä/b').encode()),
    ],
)
def test_one_escape_within_another(text: str) -> None:
    assert any('a"ä/b' in reading.text for reading in readings(text))


def test_a_text_without_escapes_is_read_once() -> None:
    assert [reading.text for reading in readings("plain ä text")] == ["plain ä text"]


def test_a_text_of_escapes_is_not_read_for_ever() -> None:
    assert len(list(readings("\\" * 64 + "%25" * 64 + "&amp;" * 64))) <= 10
    assert len(list(readings("\\\\" * 300_000))) <= 3


escaped = st.sampled_from(
    [
        r"\"",
        r"\u00e4",
        r"\xc3\xa4",
        r"\xe4",
        r"\303\244",
        r"\n",
        "%C3%A4",
        "%41",
        "%",
        "&amp;",
        "&",
        "\\",
        "x",
        "ä",
        '"',
    ]
)


@given(st.lists(escaped, max_size=8), st.lists(escaped, max_size=8))
def test_where_a_text_stood_is_known_in_each_reading(before: list[str], behind: list[str]) -> None:
    """`KEY` has no escape and reads the same everywhere; what surrounds it changes."""
    text = "".join(before) + "KEY" + "".join(behind)
    for reading in readings(text):
        at = reading.text.find("KEY")
        if at >= 0:
            assert text[slice(*reading.original(at, at + 3))] == "KEY"


@given(st.lists(escaped, min_size=1, max_size=12))
def test_places_stand_in_order_and_within_the_text(parts: list[str]) -> None:
    text = "".join(parts)
    for reading in readings(text):
        places = [reading.original(at, at + 1) for at in range(len(reading.text))]
        assert all(0 <= begin < end <= len(text) for begin, end in places)
        assert [begin for begin, _ in places] == sorted(begin for begin, _ in places)


def test_a_single_character_of_many_escaped_ones_is_found() -> None:
    text = r"\xff\xc3\x83\xc3\xa4\x41"
    reading = list(readings(text))[1]
    assert reading.text == "ÿÃäA"
    assert [text[slice(*reading.original(at, at + 1))] for at in range(4)] == [
        r"\xff", r"\xc3\x83", r"\xc3\xa4", r"\x41",
    ]  # fmt: skip


def test_what_a_shell_quotes_is_read_too() -> None:
    assert any("a b$c" in reading.text for reading in readings(r"a\ b\$c"))
    assert shlex.quote("it's") == "'it'\"'\"'s'"


@pytest.mark.parametrize("form", ["\\u{:04x}", "\\u{:04X}", "\\x{:02x}", "\\{:03o}", "%{:02x}", "%{:02X}", "&#{};"])
def test_it_is_seen_where_letters_and_digits_or_signs_of_escapes_are_escaped(form: str) -> None:
    assert [c for c in map(chr, range(128)) if (c.isalnum() or c in "\\%&") and not spells(form.format(ord(c)))] == []


@pytest.mark.parametrize("text", [r"a\"b\/c\n", "a%20b%2Fc%3D", "a &lt; b", r"\\server\share", "100%", "a & b"])
def test_what_is_escaped_every_day_is_not_taken_for_that(text: str) -> None:
    assert not spells(text)
