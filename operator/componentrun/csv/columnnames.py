"""Selection of columns by name or pattern, and lists of names for messages. Pure.

Messages show names between backticks, so that leading and trailing spaces are visible, and at most a few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

__all__ = ["chosen", "is_pattern", "listed", "missing", "resembling"]

_ANY: Final = "*"
_SHOWN: Final = 10
_SHOWN_CHARACTERS: Final = 100


def is_pattern(name: str) -> bool:
    """Whether a name may match several columns: `*` matches any number of characters."""
    return _ANY in name


def chosen(names: Sequence[str], columns: Sequence[str]) -> tuple[tuple[str, ...], str | None]:
    """The columns that names and patterns select.

    They are in the order of `names`; those of a pattern are in the order of `columns`. Each column appears once, at its
    first position. If a column has exactly the name of a pattern, the pattern selects that column only.

    Returns:
        The columns, and the first of `names` that selects no column; None if each selects at least one.
    """
    existing = frozenset(columns)
    result: dict[str, None] = {}
    unknown = None
    for name in names:
        matches = (
            [name] if name in existing else [column for column in columns if is_pattern(name) and _fits(name, column)]
        )
        result |= dict.fromkeys(matches)
        if not matches and unknown is None:
            unknown = name
    return tuple(result), unknown


def missing(name: str, columns: Sequence[str]) -> str:
    """The end of a sentence about a name or a pattern that selects no column."""
    return f"it has {listed(columns)}{'' if is_pattern(name) else resembling(name, columns)}"


def _fits(pattern: str, name: str) -> bool:
    """Match a pattern. Searches each part once, after the previous one, so the time is bounded by the name's length."""
    first, *parts, last = pattern.split(_ANY)
    place, end = len(first), len(name) - len(last)
    if place > end or not name.startswith(first) or not name.endswith(last):
        return False
    for part in parts:
        index = name.find(part, place, end)
        if index < 0:
            return False
        place = index + len(part)
    return True


def listed(names: Sequence[str]) -> str:
    """The first few names, for a sentence. A table may have thousands of columns."""
    text = ", ".join(f"`{name[:_SHOWN_CHARACTERS]}`" for name in names[:_SHOWN])
    return f"{text} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else text or "none"


def resembling(name: str, names: Collection[str]) -> str:
    """The end of a sentence that names a similar column; empty if there is none.

    Without this hint, two names that look the same on the screen would be confusing.
    """
    for difference, form in _FORMS.items():
        for candidate in names:
            if form(candidate) == form(name):
                return f" (`{candidate[:_SHOWN_CHARACTERS]}` is another name: {difference})"
    return ""


def _letters(name: str) -> str:
    import unicodedata  # noqa: PLC0415 - only needed for messages

    return unicodedata.normalize("NFC", name)


def _without_spaces(name: str) -> str:
    return "".join(_letters(name).replace("\ufeff", "").split())


def _small(name: str) -> str:
    return _without_spaces(name).casefold()


_FORMS: Final[dict[str, Callable[[str], str]]] = {
    "it is written with other Unicode characters, composed or not": _letters,
    "spaces differ": _without_spaces,
    "capital letters differ": _small,
}
