"""Secrets that nobody has named are hidden where their form is certain, and other text stays."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.redact.lines import LineRedactor
from componentrun.core.redact.redactor import MARK, Redactor
from componentrun.core.redact.status import redact_text
from tests.unit.core.secretexamples import BESIDE, FALSE, PEM_LAST, PEM_LINES, TRUE, begin, end


@pytest.mark.parametrize("name", TRUE)
@pytest.mark.parametrize("around", ["{}", "token: {}", '{{"token": "{}"}}', "a='{}',", "https://x/?t={}&y", "x={}; y"])
def test_a_secret_that_no_run_names_is_hidden_by_its_form(name: str, around: str) -> None:
    text = around.format(TRUE[name])
    assert Redactor().text(text) == around.format(MARK)
    assert not Redactor().untouched(f"a line\n{text}\nanother")


@pytest.mark.parametrize("name", BESIDE)
def test_a_secret_beside_a_word_is_hidden_and_the_word_stays(name: str) -> None:
    text, secret = BESIDE[name]
    shown = Redactor(["something-else"]).text(text.format(secret))
    assert not any(line in shown for line in secret.replace("\\n", "\n").split("\n"))
    assert MARK in shown
    first, last = text.format("\0").split("\0")
    assert shown.startswith(first.split("\n")[0].split("\\n")[0])
    assert shown.endswith(last.removeprefix("\\n").split("\n")[-1])


@pytest.mark.parametrize("name", FALSE)
def test_text_that_only_looks_like_a_secret_stays(name: str) -> None:
    assert Redactor().text(FALSE[name]) == FALSE[name]
    assert LineRedactor(Redactor()).text(FALSE[name]) == FALSE[name]


def test_fields_of_an_object_are_hidden_by_their_name_or_their_form() -> None:
    _, secret = BESIDE["AWS secret in JSON"]
    shown = Redactor().value({"aws_secret_access_key": secret, "jwt": TRUE["JWT"], "rows": 1, "secret_key": "none"})
    assert shown == {"aws_secret_access_key": MARK, "jwt": MARK, "rows": 1, "secret_key": "none"}


def test_a_form_and_a_value_that_overlap_get_one_mark() -> None:
    token = TRUE["GitHub personal token"]
    assert Redactor([f"prefix {token[:20]}"]).text(f"a prefix {token} b") == f"a {MARK} b"


@pytest.mark.parametrize("name", TRUE)
def test_a_status_shows_no_form_of_a_secret(name: str) -> None:
    assert redact_text(f"failed: {TRUE[name]}", ()) == f"failed: {MARK}"


@given(st.text(max_size=200))
def test_what_is_certainly_untouched_is_untouched(text: str) -> None:
    if Redactor().untouched(text):
        assert Redactor().text(text) == text


HOSTILE = {
    "ends of keys": end() * 8_000,
    "begins of keys": begin() * 8_000,
    "tokens that are none": "xoxb-a " * 30_000,
    "headers of tokens": "eyJhbGciOiJI." * 18_000,
    "URLs": "://a:b" * 40_000,
    "a URL that goes on": "https://a:" + "b" * 250_000,
    "words beside keys": "secret_key=" * 22_000,
    "signatures": "?sig=" + "A%2F" * 60_000,
    "base64": "A" * 250_000,
    "dashes": "-----BEGIN " + "A " * 120_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_holds_up_the_collector(name: str) -> None:
    started = time.process_time()
    LineRedactor(Redactor()).text(HOSTILE[name])
    assert time.process_time() - started < 4


PREFIXES = ["", "    ", "2026-01-01 10:00:00 INFO ", "[worker-1] ", "+ "]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_that_is_printed_line_by_line_is_hidden(prefix: str, kind: str) -> None:
    redactor = LineRedactor(Redactor())
    lines = [begin(kind), *PEM_LINES, PEM_LAST, end(kind), "done in 12 seconds"]
    shown = [redactor.text(prefix + line) for line in lines]
    assert not any(line in text for line in (*PEM_LINES, PEM_LAST) for text in shown)
    assert shown[0] == prefix + lines[0]
    assert shown[-1] == prefix + lines[-1]
    assert not redactor.key_lines


def test_lines_of_others_between_those_of_a_key_stay() -> None:
    redactor = LineRedactor(Redactor())
    shown = [
        redactor.text(text) for text in (begin(), PEM_LINES[0], "loaded 12 rows", PEM_LINES[1], end(), PEM_LINES[2])
    ]
    assert shown == [begin(), MARK, "loaded 12 rows", MARK, end(), PEM_LINES[2]]


def test_a_key_that_is_only_mentioned_does_not_hide_what_follows_for_long() -> None:
    redactor = LineRedactor(Redactor())
    redactor.text(f"no {begin()} in the file")
    for _ in range(20):
        redactor.text("a line of the log, as they are")
    assert not redactor.key_lines
    assert redactor.text(PEM_LINES[0]) == PEM_LINES[0]


def test_a_key_that_does_not_end_hides_a_bounded_number_of_lines() -> None:
    redactor = LineRedactor(Redactor())
    redactor.text(begin())
    assert [redactor.text(PEM_LINES[0]) for _ in range(256)] == [MARK] * 256
    assert redactor.text(PEM_LINES[0]) == PEM_LINES[0]


def test_a_key_in_structured_lines_is_hidden() -> None:
    redactor = LineRedactor(Redactor())
    shown = [redactor.value({"note": text}) for text in (begin(),)]
    assert shown == [{"note": begin()}]
    redactor.text(begin())
    assert redactor.value({"note": PEM_LINES[0], "rows": 1}) == {"note": MARK, "rows": 1}


def test_a_line_in_the_middle_of_a_key_is_never_certainly_untouched() -> None:
    redactor = LineRedactor(Redactor(), key_lines=3)
    assert not redactor.untouched("a line")
    assert redactor.text(PEM_LINES[0]) == MARK


def test_an_object_of_a_service_account_shows_no_key() -> None:
    document = {"type": "service_account", "private_key": f"{begin()}\n" + "\n".join(PEM_LINES) + f"\n{end()}\n"}
    for text in (json.dumps(document), json.dumps(json.dumps(document))):
        shown = Redactor().text(text)
        assert not any(line in shown for line in PEM_LINES)
        assert "service_account" in shown
