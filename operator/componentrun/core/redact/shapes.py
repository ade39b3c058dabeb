"""Secrets that are recognised by their form: prefixed tokens, signed tokens, private keys, passwords in URLs. Pure.

Only distinctive forms are searched; docs/security.md lists them. Every line of every log is checked. To make this fast,
the expressions begin with one rare character: the engine finds it as fast as memory can be read, and matches the rest
only after it.
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
"""If none of these matches a text, and neither do the other checks of `may_hold_secret`, it contains no secret."""
_URL: Final = re.compile(r"""://|:\\/\\/""")
_KEY_WORD: Final = re.compile(r"secret[_-]?(?:access[_-]?)?key")
"""Matches lowercase text."""

_KEY_NAME: Final = r" (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
KEY_BEGIN: Final = re.compile(f"-----BEGIN{_KEY_NAME}")
KEY_END: Final = re.compile(f"-----END{_KEY_NAME}")
_KEY_MARKER: Final = re.compile(f"-----(BEGIN|END){_KEY_NAME}")
_KEY_BODY: Final = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}|(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{2,}={1,2}(?![A-Za-z0-9+/=])")
"""Content of the lines between the begin and end markers of a key, after any prefix that a logger adds."""

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
    # The password ends at the last @ before the end of the host, because some passwords contain an unescaped @.
    re.compile(r"""(?::|:\\)/\\?/[^\s:/?#@"'<>\\]*:([^\s/"'<>\\]{3,})@(?=[\w.\[-])"""),
)
"""Secrets after a keyword. The first group is the secret."""
_NO_PASSWORD: Final = re.compile(r"[*xX•.]+|\$.*|%\w|\{.*\}|\[.*\]|(?i:password|passwd|pass|secret|token|redacted)")
"""Placeholders of a password, in examples and in output that a program has redacted itself."""
_JWT: Final = re.compile(_NOT_BEFORE + r"(eyJ[\w-]{8,})\.[\w-]{4,}\.[\w-]{10,}(?:\.[\w-]*){0,2}")


def may_hold_secret(text: str, lowered: str) -> bool:
    """Whether a text, which may have many lines, may contain secrets. Faster than searching for them.

    Args:
        text: a text that may contain secrets.
        lowered: the same text in lowercase, which the caller has already computed.
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
    """Spans of secrets in a text."""
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
    """Whether a field contains a secret that is recognised only together with the field's name."""
    return _KEY_WORD.search(name.lower()) is not None and any(True for _ in secret_spans(f"{name}={value}"))


def key_spans(text: str, begin: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Spans of a private key's content, in a part of a text between its begin and end markers."""
    for match in _KEY_BODY.finditer(text, begin, len(text) if end is None else end):
        yield match.span()


def _whole_keys(text: str) -> Iterator[tuple[int, int]]:
    """Spans of private keys. If one of the two markers is missing, spans of text that looks like part of a key."""
    position, is_open = 0, False
    for marker in _KEY_MARKER.finditer(text):
        is_end = marker[1] == "END"
        if is_end and is_open:
            if position < marker.start():
                yield position, marker.start()
        elif is_end or is_open:
            yield from key_spans(text, position, marker.start())
        position, is_open = marker.end(), not is_end
    if is_open:
        yield from key_spans(text, position)


def _is_header(part: str) -> bool:
    """Whether a text is the header of a signed or encrypted token, which is JSON with the name of an algorithm."""
    try:
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(header, dict) and "alg" in header
