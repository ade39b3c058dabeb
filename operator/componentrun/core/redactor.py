"""Takes a run's secret values out of what goes into events and statuses. Pure.

Found are a value as it is, and as it looks escaped for JSON, as Python shows it (a text or its bytes), URL-encoded, in
hexadecimal, or in base64 (alone, in lines, or inside a longer text, e.g. `user:password`); besides, what makes a signed
URL a capability. Of a value with several lines, each line is a value too: a component prints a private key line by
line.

Values shorter than `SHORTEST` characters are not redacted: `1`, `no` or `dev` as a "secret" would make every event
unreadable and hide nothing, as the gaps would show the value.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MARK", "SHORTEST", "Redactor"]

MARK: Final = "[redacted]"
SHORTEST: Final = 4
_SHORTEST_INNER_BASE64: Final = 6
"""Below this, the part of a base64 text that depends on the value alone is too short to be told from other words."""
_FEW: Final = 100
"""Forms that are looked for one by one."""
_SIGNATURES: Final = frozenset({"x-amz-signature", "x-amz-credential", "x-amz-security-token"})
_SIGNED: Final = re.compile(
    rf"((?:{'|'.join(_SIGNATURES)})[\"']?\s*(?:[=:]|%3D)\s*[\"']?)[^&\s\"'`,}}]+", re.IGNORECASE
)
"""What makes a URL a capability: an agent's message may quote one."""
_WRAPS: Final = (76, 64)
"""Columns at which programs wrap base64."""
_TOO_DEEP: Final = "[left out: too deep]"
_DEEPEST: Final = 20
"""Levels of a JSON value; what lies deeper is replaced as a whole."""


class Redactor:
    """Knows the secret values of one run, and never shows them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Learn the values."""
        forms = {form for value in values for form in _forms(value) if len(form) >= SHORTEST}
        self._forms = forms
        self._heads: dict[str, list[str]] = {}
        for form in forms:
            self._heads.setdefault(form[:SHORTEST], []).append(form)

    @property
    def forms(self) -> frozenset[str]:
        """Every text that is looked for."""
        return frozenset(self._forms)

    def __repr__(self) -> str:
        """How much it knows, not what."""
        return f"Redactor({len(self._forms)} forms)"

    def text(self, text: str) -> str:
        """The text with a mark in place of each secret; secrets that overlap or touch get one mark together."""
        if _SIGNED.search(text):
            text = _SIGNED.sub(rf"\1{MARK}", text)
        spans = sorted(span for form in self._candidates(text) if form in text for span in _spans(text, form))
        if not spans:
            return text
        parts, at = [], 0
        for begin, end in _merged(spans):
            parts += [text[at:begin], MARK]
            at = end
        return "".join(parts) + text[at:]

    def _candidates(self, text: str) -> Iterable[str]:
        """Forms that may be in the text. With many it is quicker to look at the text's pieces than for each form."""
        if len(self._forms) <= _FEW:
            return self._forms
        heads = self._heads.keys() & {text[at : at + SHORTEST] for at in range(len(text) - SHORTEST + 1)}
        return [form for head in heads for form in self._heads[head]]

    def value(self, value: Any, depth: int = 0) -> Any:
        """A JSON value with every text in it redacted, keys too. A number that shows a secret becomes a mark."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict | list):
            return self._collection(value, depth) if depth < _DEEPEST else _TOO_DEEP
        if isinstance(value, int | float) and not isinstance(value, bool):
            shown = json.dumps(value)
            return value if self.text(shown) == shown else MARK
        return value

    def _collection(self, value: dict[str, Any] | list[Any], depth: int) -> dict[str, Any] | list[Any]:
        if isinstance(value, list):
            return [self.value(item, depth + 1) for item in value]
        return {
            self.text(str(key)): MARK if str(key).lower() in _SIGNATURES else self.value(item, depth + 1)
            for key, item in value.items()
        }


def _forms(value: str) -> Iterator[str]:
    for part in {value, value.strip(), *(line.strip() for line in value.splitlines())}:
        if len(part) >= SHORTEST:
            yield from _encodings(part)


def _encodings(value: str) -> Iterator[str]:
    yield value
    for ascii_only in (False, True):
        escaped = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield escaped
        yield escaped.replace("/", "\\/")
    # In JSON that is itself a text of JSON, as loggers nest it.
    yield json.dumps(json.dumps(value)[1:-1])[1:-1]
    for encoded in (
        quote(value, safe="", errors="replace"),
        quote(value, errors="replace"),
        quote_plus(value, errors="replace"),
    ):
        yield encoded
        yield _lower_hex(encoded)
    data = value.encode(errors="surrogatepass")
    # As Python shows a text and its bytes; where both kinds of quotes are about, it escapes the single ones.
    yield from (repr(value)[1:-1], repr("\"'" + value)[4:-1])
    yield from (repr(data)[2:-1], repr(b"\"'" + data)[5:-1])
    yield data.hex()
    yield data.hex().upper()
    yield from _base64(data)


def _lower_hex(encoded: str) -> str:
    head, *rest = encoded.split("%")
    return head + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def _base64(data: bytes) -> Iterator[str]:
    """Alone, and what is the same of it in any longer text: base64 takes three bytes at a time, so there are three."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(data).decode("ascii")
        yield encode(data).decode("ascii").rstrip("=")
        yield from _wrapped(encode(data).decode("ascii"))
        yield from _wrapped(encode(data + b"\n").decode("ascii"))
        for before in (0, 1, 2):
            whole = encode(b"\0" * before + data).decode("ascii").rstrip("=")
            first = -(-before * 8 // 6)
            last = (before + len(data)) * 8 // 6
            inner = whole[first:last]
            if len(inner) >= _SHORTEST_INNER_BASE64:
                yield inner


def _wrapped(encoded: str) -> Iterator[str]:
    """The lines of a text that is printed in several."""
    for columns in _WRAPS:
        for at in range(0, len(encoded) if len(encoded) > columns else 0, columns):
            piece = encoded[at : at + columns].rstrip("=")
            if len(piece) >= _SHORTEST_INNER_BASE64:
                yield piece


def _spans(text: str, form: str) -> Iterator[tuple[int, int]]:
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + 1)


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    begin, end = spans[0]
    for next_begin, next_end in spans[1:]:
        if next_begin > end:
            yield begin, end
            begin, end = next_begin, next_end
        else:
            end = max(end, next_end)
    yield begin, end
