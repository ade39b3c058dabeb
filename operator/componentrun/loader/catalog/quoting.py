"""What a catalog says about an error, as it may stand in a run's status and in a log.

Anybody may have written the catalog, or may stand before it. So what it says is bounded, has one line, and holds
neither what it was sent (tokens, credentials, signatures) nor what would change a terminal or hide text.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import requests

__all__ = ["quotable", "told_by"]

_MOST_CHARACTERS: Final = 300
_READ_BYTES: Final = 64 * 2**10
"""Of an answer that tells of an error: what is longer is no sentence."""
_HIDDEN: Final = "***"
_SHORTEST: Final = 4
"""Characters of a credential that is looked for: a shorter one would stand in any sentence."""
_OPAQUE: Final = r"[A-Za-z0-9+/_=.~%-]"
_PATTERNS: Final = (
    # Markup of an error page.
    (re.compile(r"<[!/A-Za-z][^<>]{0,500}>"), " "),
    # An Authorization header, as a proxy or a debug page quotes it.
    (re.compile(r"AWS4-HMAC-SHA256\b.{0,400}?Signature=[0-9A-Fa-f]+"), f"AWS4-HMAC-SHA256 {_HIDDEN}"),
    (re.compile(rf"\b(Bearer|Basic)\s+{_OPAQUE}{{4,}}", re.IGNORECASE), rf"\1 {_HIDDEN}"),
    # Of a URL, who asks and with what.
    (re.compile(r"\b([a-z][a-z0-9+.-]{1,15}://)[^\s/@'\"<>]{1,200}@", re.IGNORECASE), r"\1"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]{1,15}://[^\s?#'\"<>]{1,2000})[?#][^\s'\"<>]*", re.IGNORECASE), r"\1"),
    # A JSON Web Token.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,4}"), _HIDDEN),
    (
        re.compile(
            r"([\w.-]{0,40}(?:secret|token|passw|signature|credential|access[_-]?key|api[_-]?key|session)[\w.-]{0,40}"
            rf"[\"']?\s{{0,3}}[:=]\s{{0,3}}[\"']?){_OPAQUE}{{16,}}",
            re.IGNORECASE,
        ),
        rf"\1{_HIDDEN}",
    ),
    # What is as long and has no separators is no word.
    (re.compile(r"[A-Za-z0-9+_=-]{64,}"), _HIDDEN),
)


def quotable(text: str, credentials: Iterable[str | None] = ()) -> str:
    """One line of at most 300 characters, without credentials and control characters.

    Args:
        text: what somebody else wrote.
        credentials: that the one who wrote it was sent, or may have been.
    """
    line = _visible(text[:_READ_BYTES])
    for form in sorted({form for value in credentials if value for form in _forms(value)}, key=len, reverse=True):
        line = line.replace(form, _HIDDEN)
    for pattern, instead in _PATTERNS:
        line = pattern.sub(instead, line)
    line = " ".join(line.split())
    return line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 1]}…"


def told_by(response: requests.Response, credentials: Iterable[str | None] = ()) -> str:
    """The error's type and message that an answer tells, or else its beginning; see `quotable`.

    What was sent in the request's own `Authorization` is left out, too.
    """
    request: requests.PreparedRequest | None = response.request
    sent = str(request.headers.get("Authorization", "")) if request is not None else ""
    known = [*credentials, sent, sent.partition(" ")[2]]
    return quotable(_sentence(response.content[:_READ_BYTES]), known) or "no message"


def _sentence(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return text
    error = said.get("error") if isinstance(said, dict) else None
    if isinstance(error, str):  # as token endpoints tell it (RFC 6749, section 5.2)
        return ": ".join(part for part in (error, str(said.get("error_description") or "")) if part)
    if not isinstance(error, dict):
        return "" if said == {} else text
    return ": ".join(str(error[name]) for name in ("type", "message") if error.get(name))


def _visible(text: str) -> str:
    """The text without characters that are not seen: those could part a credential, or turn the text around."""
    return "".join(_seen(character) for character in text)


def _seen(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cf":  # zero width, direction
        return ""
    return " " if kind[0] == "C" or kind in {"Zl", "Zp"} else character


def _forms(value: str) -> Iterator[str]:
    """How a credential may be written."""
    if len(value) < _SHORTEST:
        return
    yield from (value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1])
    encoded = base64.b64encode(value.encode()).decode().rstrip("=")
    yield encoded
    yield encoded.replace("+", "-").replace("/", "_")
