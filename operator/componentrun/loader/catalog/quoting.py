"""Sanitize a catalog's error messages for statuses and logs.

A catalog, or a proxy in front of it, is not trusted. Therefore its messages are shortened and reduced to one line.
Credentials that it was sent (tokens, passwords, signatures) are redacted, and characters that control a terminal or
hide text are removed.
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
"""Maximum size of an error response that is examined. A longer one is not a message."""
_HIDDEN: Final = "***"
_SHORTEST: Final = 4
"""Minimum length of credentials that are redacted. A shorter one could occur in any sentence."""
_OPAQUE: Final = r"[A-Za-z0-9+/_=.~%-]"
_PATTERNS: Final = (
    # Markup of an error page.
    (re.compile(r"<[!/A-Za-z][^<>]{0,500}>"), " "),
    # An Authorization header, as a proxy or a debug page quotes it.
    (re.compile(r"AWS4-HMAC-SHA256\b.{0,400}?Signature=[0-9A-Fa-f]+"), f"AWS4-HMAC-SHA256 {_HIDDEN}"),
    (re.compile(rf"\b(Bearer|Basic)\s+{_OPAQUE}{{4,}}", re.IGNORECASE), rf"\1 {_HIDDEN}"),
    # User info and query of a URL.
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
    # A word of this length without separators is probably a credential.
    (re.compile(r"[A-Za-z0-9+_=-]{64,}"), _HIDDEN),
)


def quotable(text: str, credentials: Iterable[str | None] = ()) -> str:
    """One line of at most 300 characters, without credentials and control characters.

    Args:
        text: an untrusted text.
        credentials: credentials that the author of the text may have received.
    """
    line = _visible(text[:_READ_BYTES])
    for form in sorted({form for value in credentials if value for form in _forms(value)}, key=len, reverse=True):
        line = line.replace(form, _HIDDEN)
    for pattern, instead in _PATTERNS:
        line = pattern.sub(instead, line)
    line = " ".join(line.split())
    return line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 1]}…"


def told_by(response: requests.Response, credentials: Iterable[str | None] = ()) -> str:
    """The error type and message in a response, or otherwise its beginning, sanitized by `quotable`.

    The request's own `Authorization` header is redacted as well.
    """
    request: requests.PreparedRequest | None = response.request
    header = str(request.headers.get("Authorization", "")) if request is not None else ""
    secrets = [*credentials, header, header.partition(" ")[2]]
    return quotable(_sentence(response.content[:_READ_BYTES]), secrets) or "no message"


def _sentence(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, str):  # the error format of token endpoints (RFC 6749, section 5.2)
        return ": ".join(part for part in (error, str(document.get("error_description") or "")) if part)
    if not isinstance(error, dict):
        return "" if document == {} else text
    return ": ".join(str(error[name]) for name in ("type", "message") if error.get(name))


def _visible(text: str) -> str:
    """The text without invisible characters, which could split a credential or reverse the text."""
    return "".join(_seen(character) for character in text)


def _seen(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cf":  # zero-width characters and direction marks
        return ""
    return " " if kind[0] == "C" or kind in {"Zl", "Zp"} else character


def _forms(value: str) -> Iterator[str]:
    """The encodings in which a credential may occur."""
    if len(value) < _SHORTEST:
        return
    yield from (value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1])
    encoded = base64.b64encode(value.encode()).decode().rstrip("=")
    yield encoded
    yield encoded.replace("+", "-").replace("/", "_")
