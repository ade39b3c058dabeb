"""Ranges of versions, in the usual notation (https://semver.org, https://github.com/npm/node-semver#ranges).

`1.4`, `1.x`, `^1.4`, `~1.4.2`, `>=1.4 <2`, `=1.4.2`, `*`, and alternatives separated by `||`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Range", "parse_range"]

_NUMBER: Final = r"(0|[1-9][0-9]{0,8})"
_PRE: Final = r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
_TAG: Final = re.compile(rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}{_PRE}")
_ANY: Final = r"(0|[1-9][0-9]{0,8}|[xX*])"
_COMPARATOR: Final = re.compile(rf"(>=|<=|>|<|=|\^|~)?v?{_ANY}(?:\.{_ANY})?(?:\.{_ANY}{_PRE})?")
_SPACE: Final = re.compile(r"(>=|<=|>|<|=|\^|~)\s+")
_WILD: Final = frozenset("xX*")
_MOST_COMPARATORS: Final = 16


class _Version(NamedTuple):
    major: int
    minor: int
    patch: int
    pre: tuple[tuple[int, int, str], ...] | tuple[()]
    """Sort key of the pre-release; see `_pre`."""

    @property
    def numbers(self) -> tuple[int, int, int]:
        return self.major, self.minor, self.patch


_RELEASE: Final = ((2, 0, ""),)
"""Sorts behind every pre-release."""
_LOWEST: Final = ((-1, 0, ""),)
"""Sorts before every pre-release, so that `<2` excludes those of 2.0.0."""


def _pre(text: str | None) -> tuple[tuple[int, int, str], ...]:
    if text is None:
        return _RELEASE
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in text.split("."))


@dataclass(frozen=True, slots=True)
class _Comparator:
    low: _Version | None
    """Lowest version."""
    high: _Version | None
    """First version that is too high."""
    exact_pre: tuple[int, int, int] | None
    """Version whose pre-releases are included."""

    def holds(self, version: _Version) -> bool:
        return (self.low is None or version >= self.low) and (self.high is None or version < self.high)


@dataclass(frozen=True, slots=True)
class Range:
    """A range of versions."""

    text: str
    _alternatives: tuple[tuple[_Comparator, ...], ...]

    def __contains__(self, tag: str) -> bool:
        """Whether the tag is a version of the range."""
        version = _version(tag)
        return version is not None and any(_holds(comparators, version) for comparators in self._alternatives)

    def highest(self, tags: Iterable[str]) -> str | None:
        """The tag with the highest version of the range; None if there is none. `1.2.3` is preferred to `v1.2.3`."""
        found = [(version, not tag.startswith("v"), tag) for tag in tags if (version := _version(tag)) and tag in self]
        return max(found)[2] if found else None


def parse_range(text: str, owner: str) -> Range:
    """Parse a range.

    Args:
        text: the range.
        owner: the field, for messages.

    Raises:
        UserError: (InvalidSpec) it is not a range.
    """
    alternatives = tuple(_comparators(part, text, owner) for part in text.split("||"))
    return Range(text, alternatives)


def _comparators(part: str, text: str, owner: str) -> tuple[_Comparator, ...]:
    words = _SPACE.sub(r"\1", part).replace(",", " ").split()
    matches = [_COMPARATOR.fullmatch(word) for word in words]
    if not words or len(words) > _MOST_COMPARATORS or None in matches:
        raise UserError(
            f"{owner}: `{text}` is not a range of versions",
            Reason.INVALID_SPEC,
            advice="Write it like `^1.4`, `~1.4.2`, `1.x` or `>=1.4 <2`.",
        )
    return tuple(_comparator(match) for match in matches if match is not None)


def _comparator(match: re.Match[str]) -> _Comparator:
    operator = match[1] or "="
    texts: list[str] = []
    for number in match.group(2, 3, 4):
        if number is None or number in _WILD:
            break
        texts.append(number)
    given = [int(number) for number in texts]
    if not given:
        return _Comparator(None, None, None) if operator not in {"<", ">"} else _Comparator(None, _at(0, 0, 0), None)
    is_full = len(given) == len(_Version._fields) - 1
    major, minor, patch = numbers = [*given, 0, 0][:3]
    pre = match[5] if is_full else None
    low = _Version(major, minor, patch, _pre(pre)) if is_full else _at(major, minor, patch)
    behind = _Version(major, minor, patch, (*_pre(pre), (-1, 0, ""))) if is_full else _next(numbers, len(given) - 1)
    first = next((i for i, number in enumerate(given) if number), len(given) - 1)
    bounds: dict[str, tuple[_Version | None, _Version | None]] = {
        ">=": (low, None),
        ">": (behind, None),
        "<": (None, low if pre is not None else _at(major, minor, patch)),
        "<=": (None, behind),
        "^": (low, _next(numbers, first)),
        "~": (low, _next(numbers, min(len(given) - 1, 1))),
        "=": (low, behind),
    }
    return _Comparator(*bounds[operator], low.numbers if pre is not None else None)


def _at(major: int, minor: int, patch: int) -> _Version:
    return _Version(major, minor, patch, _LOWEST)


def _next(numbers: list[int], position: int) -> _Version:
    """The first version after all that have these numbers up to a position."""
    higher = [*numbers[:position], numbers[position] + 1, 0, 0][:3]
    return _at(*higher)


def _holds(comparators: tuple[_Comparator, ...], version: _Version) -> bool:
    if not all(comparator.holds(version) for comparator in comparators):
        return False
    return version.pre == _RELEASE or any(item.exact_pre == version.numbers for item in comparators)


def _version(tag: str) -> _Version | None:
    match = _TAG.fullmatch(tag)
    return _Version(int(match[1]), int(match[2]), int(match[3]), _pre(match[4])) if match else None
