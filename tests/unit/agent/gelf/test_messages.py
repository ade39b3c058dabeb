"""One GELF message: what is printed of it, and what is said where it is none."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun import contract
from componentrun.agent.gelf.messages import MESSAGE_LIMIT, BadMessageError, complaint, parse_visibility, printed

VERBOSE = dict.fromkeys(contract.GELF_LEVELS, "verbose")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def message(**fields: Any) -> bytes:
    return json.dumps({"version": "1.1", "host": "worker", "short_message": "hello", **fields}).encode()


def shown(data: bytes, visibility: dict[str, str] = contract.GELF_VISIBILITY) -> dict[str, Any] | None:
    line = printed(data, visibility)
    if line is None:
        return None
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    document = json.loads(line)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (7, None),
        (6, {"short_message": "hello", "level": 6}),
        (5, {"short_message": "hello", "level": 5}),
        (4, {"short_message": "hello", "level": 4}),
        (3, {"short_message": "hello", "level": 3}),
        (2, {"short_message": "Application error", "level": 2}),
        (1, {"short_message": "Application error", "level": 1}),
        (0, {"short_message": "Application error", "level": 0}),
    ],
)
def test_how_much_of_each_level_is_seen_where_nobody_says(level: int, expected: dict[str, Any] | None) -> None:
    assert shown(message(level=level, _secret="detail", full_message="long")) == expected


def test_the_visibility_of_a_level() -> None:
    data = message(level=3, full_message="trace", _order=7, timestamp=1700000000.5)
    normal = {"short_message": "hello", "level": 3, "timestamp": 1700000000.5}
    assert shown(data, parse_visibility("error=none")) is None
    assert shown(data, parse_visibility("error=camouflage")) == {"short_message": "Application error", "level": 3}
    assert shown(data, parse_visibility("error=normal")) == normal
    assert shown(data, parse_visibility("error=verbose")) == {
        **normal, "host": "worker", "full_message": "trace", "_order": 7,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["info=all", "loud=none", "info", "=", "info=normal,x"])
def test_a_visibility_that_there_is_none_of_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a level and how much of it is seen"):
        parse_visibility(text)


@pytest.mark.parametrize("level", [None, "x", [], float("inf")])
def test_a_message_without_a_level_is_an_info(level: Any) -> None:
    assert shown(message(level=level)) == {"short_message": "hello", "level": 6}


@pytest.mark.parametrize(("level", "number"), [("3", 3), (-5, 0), (99, 7), (4.0, 4), ("Error", 3), ("CRITICAL", 2)])
def test_a_level_is_read_as_it_was_meant(level: Any, number: int) -> None:
    document = shown(message(level=level), VERBOSE)
    assert document is not None
    assert document["level"] == number


def test_a_null_byte_behind_a_message_is_none_of_it() -> None:
    assert shown(message(level=6) + b"\0") == {"short_message": "hello", "level": 6}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress, lambda data: zlib.compress(data, 0)])
def test_compressed_and_plain(pack: Any) -> None:
    assert shown(pack(message(level=6))) == {"short_message": "hello", "level": 6}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"hello", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"[1]", "a JSON list, expected an object"),
        (b'{"message": "x"}', "`short_message` is missing"),
        (b'{"short_message": ""}', "`short_message` is missing, empty"),
        (b'{"short_message": 7}', "no text"),
        (b"\x1f\x8bnonsense", "damaged"),
        (gzip.compress(message(), mtime=0)[:-9], "end too early"),
        (zlib.compress(message())[:-5], "end too early"),
        (gzip.compress(b" " * (MESSAGE_LIMIT + 1)), "longer than 1048576 bytes"),
        (gzip.compress(b"\0" * 100_000_000), "longer than 1048576 bytes"),
        (b"[" * 200_000, "not valid JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_message_is_named(data: bytes, said: str) -> None:
    with pytest.raises(BadMessageError, match=said):
        printed(data, VERBOSE)


def test_a_complaint_is_a_warning_of_one_line() -> None:
    document = json.loads(complaint("two\nlines"))
    assert document == {"short_message": "a GELF message was not understood: two\nlines", "level": 4}


def test_what_would_be_too_long_for_an_event_is_left_out_and_said() -> None:
    line = printed(message(level=3, _much="x" * 500_000), VERBOSE)
    assert line is not None
    assert len(line) < 10_000
    assert json.loads(line)["left_out"].startswith("500")


@given(st.dictionaries(st.text(), JSON, max_size=6), st.text(min_size=1))
def test_any_fields_come_out_as_they_went_in(fields: dict[str, Any], text: str) -> None:
    sent = {**fields, "short_message": text, "level": 3}
    expected = {key: value for key, value in sent.items() if key != "version"}
    assert shown(json.dumps(sent).encode(), VERBOSE) == expected


@given(st.binary(max_size=200))
def test_any_bytes_are_a_line_or_a_complaint(data: bytes) -> None:
    try:
        line = printed(data, VERBOSE)
    except BadMessageError as error:
        line = complaint(str(error))
    assert line is not None
    assert json.loads(line)["short_message"]
