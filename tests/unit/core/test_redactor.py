"""Secret values in the forms in which programs print them."""

from __future__ import annotations

import base64
import html
import json
import random
import shlex
import time
from itertools import takewhile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from componentrun.core.podstatus.printed import plain
from componentrun.core.redact import redactor as redactor_module
from componentrun.core.redact.escapes import readings
from componentrun.core.redact.redactor import MARK, SHORTEST, Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.core.redact.escapes import Reading

AWKWARD = 'pä/ss "w\\ord"+&=\t1'
secrets = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=SHORTEST, max_size=40).filter(
    lambda text: len(text.strip()) >= SHORTEST and MARK not in text and text.strip() not in MARK
)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


FORMS = {
    "as it is": AWKWARD,
    "base64": b64(AWKWARD),
    "base64 without padding": b64(AWKWARD).rstrip("="),
    "base64 for URLs": base64.urlsafe_b64encode(AWKWARD.encode()).decode(),
    "base64 in a URL": quote(b64(AWKWARD), safe=""),
    "base64 in JSON": b64(AWKWARD).replace("/", "\\/"),
    "JSON": json.dumps(AWKWARD)[1:-1],
    "JSON with its own characters": json.dumps(AWKWARD, ensure_ascii=False)[1:-1],
    "JSON as PHP writes it": json.dumps(AWKWARD)[1:-1].replace("/", "\\/"),
    "JSON as Go writes it": json.dumps(AWKWARD, ensure_ascii=False)[1:-1].replace("&", "\\u0026"),
    "JSON with all characters escaped": "".join(f"\\u{ord(c):04x}" for c in AWKWARD),
    "JSON with all characters escaped, in capitals": "".join(f"\\u{ord(c):04X}" for c in AWKWARD),
    "JSON in JSON": json.dumps(json.dumps(AWKWARD)[1:-1])[1:-1],
    "JSON in JSON in JSON": json.dumps(json.dumps(json.dumps(AWKWARD)[1:-1])[1:-1])[1:-1],
    "URL": quote(AWKWARD),
    "URL, all of it": quote(AWKWARD, safe=""),
    "URL in small letters": quote(AWKWARD, safe="").lower(),
    "URL in a URL": quote(quote(AWKWARD, safe=""), safe=""),
    "form of a page": quote_plus(AWKWARD),
    "HTML": html.escape(AWKWARD),
    "HTML as Go writes it": html.escape(AWKWARD).replace("&quot;", "&#34;").replace("+", "&#43;"),
    "HTML in numbers": "".join(f"&#x{ord(c):x};" for c in AWKWARD),
    "HTML of JSON": html.escape(json.dumps(AWKWARD)[1:-1]),
    "XML in JSON": json.dumps(html.escape(AWKWARD))[1:-1],
    "Python": repr(AWKWARD)[1:-1],
    "Python, ASCII": ascii(AWKWARD)[1:-1],
    "Python's bytes": repr(AWKWARD.encode())[2:-1],
    "Python's bytes in JSON": json.dumps(repr(AWKWARD.encode())[2:-1])[1:-1],
    "a shell's word": "".join(c if c.isalnum() else f"\\{c}" for c in AWKWARD),
    "octal": "".join(f"\\{byte:03o}" for byte in AWKWARD.encode()),
    "CSV": AWKWARD.replace('"', '""'),
    "hexadecimal": AWKWARD.encode().hex(),
    "hexadecimal in capitals": AWKWARD.encode().hex().upper(),
}
"""What docs/security.md says is found."""


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_found(form: str) -> None:
    assert Redactor([AWKWARD]).text(f"before {FORMS[form]} after") == f"before {MARK} after"


@pytest.mark.parametrize("quoted", [shlex.quote("it's a 'secret'"), "it''s a ''secret''", r"it\'s a \'secret\'"])
def test_quotes_in_a_value_do_not_hide_it(quoted: str) -> None:
    assert "secret" not in Redactor(["it's a 'secret'"]).text(f"password {quoted}")


@pytest.mark.parametrize("offset", range(9))
@pytest.mark.parametrize("secret", ["correct-horse", "pä/ss?>~ word", "123456"])
def test_base64_at_any_place_of_a_longer_text(secret: str, offset: int) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        hidden = Redactor([secret]).text(encode(b"u" * offset + secret.encode() + b"more").decode())
        assert MARK in hidden
        left = base64.urlsafe_b64decode(hidden.split(MARK)[0].replace("+", "-").replace("/", "_") + "==")
        assert left.strip(b"u") in {b"", *(secret.encode()[:end] for end in (1, 2))}


@pytest.mark.parametrize("around", ["", "'", '"', "'\""])
def test_quotes_around_a_value_do_not_hide_it_from_what_python_shows(around: str) -> None:
    for secret in ("it's a sécret", 'a "sécret"', 'it\'s a "sécret"', "sécret\\'"):
        for shown in (repr(f"{around}{secret}{around}"), repr(f"{around}{secret}{around}".encode())):
            assert MARK in Redactor([secret]).text(shown), shown


@pytest.mark.parametrize("user", ["a", "ab", "abc", "somebody"])
def test_a_secret_inside_a_longer_base64_text_does_not_come_back(user: str) -> None:
    hidden = Redactor(["correct-horse"]).text(b64(f"{user}:correct-horse"))
    assert MARK in hidden
    left = hidden.replace(MARK, "")
    assert len(left) <= len(b64(user + ":")) + 4


@given(secrets, st.text(max_size=20), st.text(max_size=20))
@example("aaaa", "aaaaa", "aa")
def test_what_is_redacted_does_not_hold_the_secret(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    for form in (secret, b64(secret), json.dumps(secret)[1:-1], quote(secret, safe="")):
        assert form not in redactor.text(before + form + after).replace(MARK, "")


@given(st.lists(secrets, max_size=3), st.text(max_size=60))
def test_other_text_stays(values: list[str], text: str) -> None:
    shown = Redactor(values).text(text)
    if not any(value.strip() in text or value in text for value in values) and MARK not in shown:
        assert shown == text


@pytest.mark.parametrize("columns", [64, 76])
@pytest.mark.parametrize("end", ["", "\n"])
def test_base64_that_is_printed_in_lines(columns: int, end: str) -> None:
    secret = "correct horse battery staple " * 6
    encoded = b64(secret + end)
    redactor = Redactor([secret])
    lines = [encoded[at : at + columns] for at in range(0, len(encoded), columns)]
    assert len(lines) > 2
    shown = [redactor.text(line).rstrip("=") for line in lines]
    assert all(len(left) < 6 or left == MARK for left in shown)


def test_many_secrets_are_found_as_few_are() -> None:
    values = [f"secret-number-{number}" for number in range(100)]
    redactor = Redactor(values)
    assert len(redactor._probes) > 100
    long = "padding " * 1000
    assert redactor.text(f"{long} secret-number-77") == f"{long} {MARK}"
    assert redactor.text("a secret-number-77 b") == f"a {MARK} b"
    assert redactor.text(f"a {b64('secret-number-5')}") == f"a {MARK}"
    assert redactor.text("nothing") == redactor.text("") + "nothing"


@pytest.mark.parametrize(
    "text",
    [
        "GET https://s/b?X-Amz-Date=1&X-Amz-Signature=0a1b2c3d&x=y",
        "X-Amz-Credential=0a1b2c3d%2F2026",
        "{'x-amz-signature': '0a1b2c3d', 'key': 'k'}",
        "x-amz-security-token%3D0a1b2c3d",
    ],
)
def test_signatures_of_urls_are_taken_out_always(text: str) -> None:
    assert "0a1b2c3d" not in Redactor().text(text)
    assert MARK in Redactor().text(text)
    assert Redactor().value({"x-amz-signature": "0a1b2c3d"}) == {"x-amz-signature": MARK}


def test_secrets_that_overlap_leave_no_rest() -> None:
    assert Redactor(["abcdef", "defghi"]).text("x abcdefghi y") == f"x {MARK} y"
    assert Redactor(["abcd", "efgh"]).text("abcdefgh") == MARK
    assert Redactor(["abab"]).text("ababab-") == f"{MARK}-"


def test_each_line_of_a_value_of_several_lines_is_a_secret() -> None:
    redactor = Redactor(["-----BEGIN KEY-----\nMIIBVgIBADANBg\r\n  kqhkiG9w\n}\n"])
    assert [redactor.text(line) for line in ("MIIBVgIBADANBg", "x kqhkiG9w x", "}")] == [MARK, f"x {MARK} x", "}"]


def test_a_value_of_hundreds_of_kilobytes_is_learned_in_moments() -> None:
    value = base64.b64encode(random.Random(1).randbytes(300_000)).decode()  # noqa: S311 - the same every time
    started = time.process_time()
    redactor = Redactor([value])
    assert time.process_time() - started < 5
    lines = b64(value)
    for part in (value, *(lines[at : at + 76] for at in range(0, len(lines), 76 * 997))):
        assert redactor.text(f"it is {part}!") == f"it is {MARK}!"


def test_a_line_with_many_of_many_values_costs_moments() -> None:
    values = [f"a-secret-value-{number}" for number in range(1000)]
    redactor = Redactor(values)
    started = time.process_time()
    found = redactor.value({f"field {at}": f"it is {values[at % 1000]}" for at in range(8000)})
    assert time.process_time() - started < 4
    assert set(found.values()) == {f"it is {MARK}"}


def test_short_values_are_not_redacted() -> None:
    assert Redactor(["abc", "", "1"]).text("abc 1") == "abc 1"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"a": "the hunter2", "hunter2": 1}, {"a": f"the {MARK}", MARK: 1}),
        ([["hunter2"], None, True, 1.5], [[MARK], None, True, 1.5]),
        (12345678, MARK),
        (1.2345678, 1.2345678),
        (99, 99),
    ],
)
def test_values_of_json_are_redacted_in_depth(value: Any, wanted: Any) -> None:
    assert Redactor(["hunter2", "12345678"]).value(value) == wanted


def test_what_is_nested_too_deep_is_left_out() -> None:
    value: Any = "hunter2"
    for _ in range(5000):
        value = [value]
    assert "hunter2" not in json.dumps(Redactor(["hunter2"]).value(value))


def test_a_private_key_is_found_whole_and_line_by_line_also_with_its_ends_of_lines_escaped() -> None:
    lines = ["-----BEGIN KEY-----", *(f"{number:02}kqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQ/+=" for number in range(28))]
    key = "\n".join([*lines, "-----END KEY-----", ""])
    redactor = Redactor([key])
    assert [redactor.text(line) for line in lines] == [MARK] * 29
    assert redactor.text(json.dumps({"key": key})) == f'{{"key": "{MARK}"}}'
    assert redactor.text(key.replace("\n", "\r\n")) == MARK
    assert redactor.text(f"a {quote(key)} b") == f"a {MARK} b"
    assert redactor.text(b64(f"x{key}")).endswith(MARK)


def test_the_rest_of_a_secret_at_a_cut_is_taken_out_however_it_is_escaped() -> None:
    redactor = Redactor([AWKWARD])
    for form in ("as it is", "JSON", "URL", "HTML in numbers", "octal", "base64"):
        whole = b64(AWKWARD) if form == "base64" else AWKWARD
        for at in range(1, len(FORMS[form])):
            head, tail = FORMS[form][:at], FORMS[form][at:]
            if same(whole, head) >= SHORTEST:
                assert redactor.text(f"before {head}", cut_behind=True) == f"before {MARK}"
            if same(whole[::-1], tail, backwards=True) >= SHORTEST:
                assert redactor.text(f"{tail} after", cut_before=True) == f"{MARK} after"


def same(wanted: str, text: str, *, backwards: bool = False) -> int:
    """So many characters of the begin are read in what was cut off."""
    read = list(readings(text))[-1].text
    pairs = zip(wanted, read[::-1] if backwards else read, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def test_it_never_shows_what_it_knows() -> None:
    assert "hunter2" not in repr(Redactor(["hunter2"]))


def test_a_cut_long_text_is_read_at_its_end_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten readings of ten ends of a long line of backslashes took a tenth of a second, in which all runs wait."""
    spent = 0

    def counted(text: str) -> Iterator[Reading]:
        nonlocal spent
        spent += len(text)
        return readings(text)

    monkeypatch.setattr(redactor_module, "readings", counted)
    text = "\\" * 16_000
    assert Redactor(["s3cr3t-value"]).text(text, cut_behind=True) == text
    assert spent < 3 * len(text)
    assert Redactor(["s3cr3t-value"]).text(text + "s3cr3", cut_behind=True) == text + MARK


@pytest.mark.parametrize("value", ["ab\x01cdefgh", "pass\x1b[1mword", "key\rof-a-robot"])
def test_a_secret_with_control_characters_is_hidden_in_text_from_which_they_were_removed(value: str) -> None:
    assert plain(value) not in Redactor([value]).text(plain(f"it is {value}."))
