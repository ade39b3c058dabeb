"""Secrets that are known by their form: tokens with a prefix, signed tokens, private keys, passwords in URLs. Pure.

Only forms that hardly anything else has are looked for; docs/security.md lists them. Whether a text may hold one is
asked for every line of every log. So it is asked with expressions that begin with one rare character, which the
expression engine looks for as fast as memory can be read, and only behind such a character it looks further.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["KEY_BEGIN", "KEY_END", "key_spans", "may_hold_secret", "secret_spans", "shows_secret"]

_PROBES: Final = tuple(
    re.compile(probe).search
    for probe in (
        r"J(?:(?<=eyJ)[\w-]{8}|(?<=IQoJ)b3JpZ2lu)",
        r"X(?<=oGZX)IvYXdz",
        r"A(?:(?:KIA|SIA)[A-Z2-7]{16}|Iza[\w-]{30}|cc(?:ount|ess)Key=|gE[IN][\w-]{30})",
        r"_(?=[A-Za-z0-9]{16})(?:(?<=gh[pousr]_)|(?<=b_pat_)|(?<=k_live_)|(?<=npm_))",
        r"g(?:l(?:pat|dt|rt|ptt|cbt|ft|soat|imt|agent)-)",
        r"x(?:ox[abeoprs]-|app-\d)",
        r"v(?<=hv)[sbr]\.[\w-]{20}",
        r"=(?<=sig=)[A-Za-z0-9%/+]{40}",
    )
)
"""A text in which none of them is found, and which passes `may_hold_secret`'s other questions, holds no secret."""
_URL: Final = re.compile(r"""://|:\\/\\/""")
_KEY_WORD: Final = re.compile(r"secret[_-]?(?:access[_-]?)?key")
"""In small letters."""

_KEY_NAME: Final = r" (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
KEY_BEGIN: Final = re.compile(f"-----BEGIN{_KEY_NAME}")
KEY_END: Final = re.compile(f"-----END{_KEY_NAME}")
_KEY_MARKER: Final = re.compile(f"-----(BEGIN|END){_KEY_NAME}")
_KEY_BODY: Final = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}|(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{2,}={1,2}(?![A-Za-z0-9+/=])")
"""What the lines between begin and end of a key are made of, behind whatever a logger puts before them."""

_NOT_BEFORE: Final = r"(?<![A-Za-z0-9_-])"
_TOKENS: Final = re.compile(
    _NOT_BEFORE
    + r"(?:(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])"
    + r"|(?:IQoJb3JpZ2lu|F[wQ]oGZXIvYXdz)[A-Za-z0-9/+%]{80,}={0,2}"
    + r"|AIza[\w-]{35}(?![\w-])"
    + r"|gh[pousr]_[A-Za-z0-9]{36,255}"
    + r"|github_pat_[A-Za-z0-9]{16,}_[A-Za-z0-9]{30,}"
    + r"|gl(?:pat|dt|rt|ptt|cbt|ft|soat|imt|agent)-[\w-]{20,}(?:\.[\w.-]+)?"
    + r"|xox[abeoprs]-(?=[A-Za-z-]*\d)[A-Za-z0-9-]{16,}"
    + r"|xapp-\d-[A-Za-z0-9-]{20,}"
    + r"|[rs]k_live_[A-Za-z0-9]{16,}"
    + r"|npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"
    + r"|pypi-AgE[IN][\w-]{50,}"
    + r"|hv[sbr]\.[\w-]{24,}"
    + r")"
)
_BESIDE_A_WORD: Final = (
    re.compile(r"AccountKey=([A-Za-z0-9+/]{86}==)"),
    re.compile(r"SharedAccessKey=([A-Za-z0-9+/]{43}=)"),
    re.compile(r"(?<![A-Za-z0-9])sig=([A-Za-z0-9%/+]{43,128}(?:%3[dD]|=))"),
    re.compile(
        r"(?i:secret[_-]?(?:access[_-]?)?key)[\"'\\]{0,3}\s{0,3}(?:=>|[=:])\s{0,3}[\"'\\]{0,3}"
        r"((?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z/+]*\d)[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
    ),
    # The password ends at the last @ before the host ends: some are not escaped as they should be.
    re.compile(r"""(?::|:\\)/\\?/[^\s:/?#@"'<>\\]*:([^\s/"'<>\\]{3,})@(?=[\w.\[-])"""),
)
"""The first group is the secret."""
_NO_PASSWORD: Final = re.compile(r"[*xX•.]+|\$.*|%\w|\{.*\}|\[.*\]|(?i:password|passwd|pass|secret|token|redacted)")
"""Stands for one, in examples and where a program hides it itself."""
_JWT: Final = re.compile(_NOT_BEFORE + r"(eyJ[\w-]{8,})\.[\w-]{4,}\.[\w-]{10,}(?:\.[\w-]*){0,2}")


def may_hold_secret(text: str, lowered: str) -> bool:
    """Whether it is worth the time to look for secrets in this text, which may be many lines.

    Args:
        text: what may hold some.
        lowered: the same in small letters, which whoever asks has at hand.
    """
    for probe in _PROBES:
        if probe(text) is not None:
            return True
    if "@" in text and _URL.search(text) is not None:
        return True
    if "-----" in text and _KEY_MARKER.search(text) is not None:
        return True
    return "secret" in lowered and _KEY_WORD.search(lowered) is not None


def secret_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where secrets stand."""
    for match in _TOKENS.finditer(text):
        yield match.span()
    for match in _JWT.finditer(text):
        if _is_header(match[1]):
            yield match.span()
    for shape in _BESIDE_A_WORD:
        for match in shape.finditer(text):
            if not _NO_PASSWORD.fullmatch(match[1]):
                yield match.span(1)
    yield from _whole_keys(text)


def shows_secret(name: str, value: str) -> bool:
    """Whether a field of this name holds a secret that only the name gives away."""
    return _KEY_WORD.search(name.lower()) is not None and any(True for _ in secret_spans(f"{name}={value}"))


def key_spans(text: str, begin: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Where, in a part of a text between begin and end of a private key, pieces of it stand."""
    for match in _KEY_BODY.finditer(text, begin, len(text) if end is None else end):
        yield match.span()


def _whole_keys(text: str) -> Iterator[tuple[int, int]]:
    """Private keys; without an end or a begin, what looks like a piece of one behind or before it."""
    at, begun = 0, False
    for marker in _KEY_MARKER.finditer(text):
        is_end = marker[1] == "END"
        if is_end and begun:
            if at < marker.start():
                yield at, marker.start()
        elif is_end or begun:
            yield from key_spans(text, at, marker.start())
        at, begun = marker.end(), not is_end
    if begun:
        yield from key_spans(text, at)


def _is_header(part: str) -> bool:
    """Whether it is the header of a signed or encrypted token: JSON that names an algorithm."""
    try:
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(header, dict) and "alg" in header
