"""The header WWW-Authenticate of a registry (RFC 9110, section 11.6.1, and the distribution specification)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Challenge", "choose_challenge"]

_SCHEME: Final = re.compile(r"\s*([A-Za-z]+)(?:\s+|(?=,)|$)")
_PARAMETER: Final = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_LONGEST: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class Challenge:
    """How a registry wants requests to be authenticated."""

    scheme: Literal["basic", "bearer"]
    parameters: Mapping[str, str] = field(default_factory=dict)
    """`realm`, `service`, `scope`, `error`; names in lower case."""


def choose_challenge(headers: Iterable[str]) -> Challenge | None:
    """The challenge to answer: Bearer if it is offered, else Basic; None if neither is."""
    found = {challenge.scheme: challenge for header in headers for challenge in _challenges(header[:_LONGEST])}
    return found.get("bearer") or found.get("basic")


def _challenges(header: str) -> list[Challenge]:
    """All known challenges of one header, which may have several."""
    found = []
    position = 0
    while match := _SCHEME.match(header, position):
        scheme, position = match[1].lower(), match.end()
        parameters = {}
        while parameter := _PARAMETER.match(header, position):
            quoted = parameter[2]
            value = parameter[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters[parameter[1].lower()] = value
            position = parameter.end()
        if scheme in {"basic", "bearer"}:
            found.append(Challenge("basic" if scheme == "basic" else "bearer", parameters))
        separator = re.compile(r"\s*,").match(header, position)
        position = separator.end() if separator else position
    return found
