"""Whatever a component prints, however it is cut on its way: no event holds a secret in a form that is looked for."""

from __future__ import annotations

import base64
import html
import json
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.api import names
from componentrun.collector.events.journal import Journal
from componentrun.collector.readers.api.lines import KEPT_BYTES, SECOND
from componentrun.collector.readers.api.response import Answer
from componentrun.core.redact.redactor import MARK, SHORTEST, Redactor
from tests.unit.collector import node
from tests.unit.collector.reading import KEY, sink_of
from tests.unit.collector.runs import a_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BEGIN = 1_795_506_393 * SECOND
ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON, all": lambda text: "".join(
        f"\\u{unit:04x}" for unit in memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")
    ),
    "URL": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "HTML": html.escape,
    "Python": lambda text: repr(text)[1:-1],
    "ASCII": lambda text: ascii(text)[1:-1],
    "bytes": lambda text: repr(text.encode())[2:-1],
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, URL": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}
ESCAPES = [name for name in ENCODINGS if name not in {"hex", "base64", "base64, URL"}]

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=8)
secrets = (
    st.text(st.sampled_from("abcXYZ0189/+=&%\\\"' ä€\U0001f600.-_<>?"), min_size=6, max_size=24)
    .map(str.strip)
    .filter(lambda text: len(text) >= 6 and text not in MARK and len(set(text)) > 2)
)


def events_of(chunks: Sequence[bytes], values: Sequence[str]) -> list[str]:
    """What the events of these pieces of a log say: their messages, and their params as texts."""
    journal, redactor = Journal(a_run()), Redactor(values)
    journal.masks.add_pod("pod-uid", b"a key", redactor)
    sink = sink_of(journal, redactor=redactor)
    answer = Answer(sink.position)
    for chunk in chunks:
        for lines in answer.feed(chunk):
            sink.take(lines)
    sink.settle()
    told = [event for event in journal.take_segment().events if event.source == names.COMPONENT]
    assert journal.position(KEY).lines
    assert "\n" not in MARK
    return [text for event in told for text in texts(asdict(event)["message"], event.params)]


def texts(*values: object) -> list[str]:
    found = []
    for value in values:
        if isinstance(value, dict):
            found += texts(*value.keys(), *value.values())
        elif isinstance(value, list):
            found += texts(*value)
        else:
            found.append(str(value))
    return found


def log_of(*lines: str) -> bytes:
    return b"".join(node.line(BEGIN + at * 1_000_000, text.encode()) + b"\n" for at, text in enumerate(lines))


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    borders = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in pairwise(borders)]


def holds(shown: list[str], form: str) -> bool:
    """A mark and its neighbours may look like a secret by chance."""
    return any(form in text.replace(MARK, "\0") for text in shown)


@settings(deadline=None, max_examples=200)
@given(
    secrets,
    st.sampled_from(list(ENCODINGS)),
    st.sampled_from(ESCAPES),
    st.tuples(words, words),
    st.lists(st.integers(0, 10**6), max_size=5),
)
def test_a_printed_secret(secret: str, inner: str, outer: str, around: tuple[str, str], cuts: list[int]) -> None:
    encoded = ENCODINGS[outer](ENCODINGS[inner](secret))
    line = f"it is {around[0]} {encoded} {around[1]}"
    shown = events_of(pieces(log_of("before", line, "after"), cuts), [secret])
    assert not holds(shown, encoded), (line, shown)
    assert any(MARK in text for text in shown)
    assert {shown[0], shown[-1]} == {"before", "after"}


@settings(deadline=None, max_examples=200)
@given(secrets, st.sampled_from(list(ENCODINGS)), st.tuples(words, words), st.booleans(), st.booleans())
def test_a_secret_in_a_structured_line(
    secret: str,
    inner: str,
    around: tuple[str, str],
    ascii_only: bool,
    as_key: bool,
) -> None:
    text = f"{around[0]} {ENCODINGS[inner](secret)} {around[1]}"
    params = {text: 1} if as_key else {"a": [{"b": text}]}
    line = json.dumps({"message": text, "level": "error", **params}, ensure_ascii=ascii_only)
    shown = events_of([log_of(line)], [secret])
    assert not holds(shown, ENCODINGS[inner](secret)), (line, shown)
    assert not holds(shown, secret)


@settings(deadline=None, max_examples=100)
@given(st.lists(secrets, min_size=2, max_size=6), st.lists(st.integers(0, 10**6), max_size=5), st.booleans())
def test_a_secret_of_several_lines(values: list[str], cuts: list[int], indented: bool) -> None:
    secret = "\n".join(values)
    lines = [f"    {line}" if indented else line for line in values]
    shown = events_of(pieces(log_of("before", *lines, "after"), cuts), [secret])
    assert not any(holds(shown, line) for line in values), shown


def test_a_secret_of_several_lines_in_one_line_and_in_an_exception() -> None:
    secret = "first-line\nsecond-line\nthird"
    trace = [
        "Traceback (most recent call last):",
        '  File "x", line 1',
        "    x()",
        *f"ValueError: {secret}".split("\n"),
    ]
    shown = events_of([log_of(*trace, f"as JSON: {json.dumps(secret)}")], [secret])
    assert shown == ["\n".join([*trace[:3], f"ValueError: {MARK}"]), MARK, MARK, f'as JSON: "{MARK}"']


@pytest.mark.parametrize("fill", ["x", "hunter2 hunter2", "ä"])
@pytest.mark.parametrize("over", ["", "begun and \r"])
def test_a_line_that_is_cut_within_a_secret(fill: str, over: str) -> None:
    """At whatever byte: of a line of secrets only, which all become one mark, nothing is left either."""
    secret = "hunter2-ä€-hunter2"
    begin = f"{over}{fill}"
    for shift in range(24):
        line = begin + "z" * shift + secret * (KEPT_BYTES // len(secret.encode()) + 2)
        data = log_of(line)
        for text in events_of(pieces(data, [100_000, 200_000]), [secret]):
            left = text.replace(MARK, "").replace(begin.rpartition("\r")[2], "")
            assert not any(secret[at : at + SHORTEST] in left for at in range(6)), text[-200:]


def test_what_the_kubelet_says_instead_of_a_line_is_redacted_where_it_is_told() -> None:
    journal = Journal(a_run())
    sink_of(journal, redactor=Redactor(["hunter2"])).lost("gap", "lines may be missing (hunter2 is no timestamp)")
    assert journal.problems == [f"lines may be missing ({MARK} is no timestamp)"]
    assert "hunter2" not in repr(journal.take_segment())
