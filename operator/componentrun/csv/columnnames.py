"""Names of columns: which are meant by a choice, and how messages tell them. Pure.

Names are told between backticks, so that spaces at their ends are seen, and never more of them than a sentence bears.
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
    """Whether a name may stand for several columns: `*` is any number of characters."""
    return _ANY in name


def chosen(wanted: Sequence[str], there: Sequence[str]) -> tuple[tuple[str, ...], str | None]:
    """The columns that names and patterns mean.

    They come in the order of `wanted`, those of a pattern in the order of `there`; each comes once, at its first place.
    A column that is called exactly like a pattern is what is meant by it.

    Returns:
        The columns, and the first of `wanted` that no column fits; None: all of them mean something.
    """
    known = frozenset(there)
    found: dict[str, None] = {}
    unknown = None
    for name in wanted:
        fitting = [name] if name in known else [each for each in there if is_pattern(name) and _fits(name, each)]
        found |= dict.fromkeys(fitting)
        if not fitting and unknown is None:
            unknown = name
    return tuple(found), unknown


def missing(name: str, there: Sequence[str]) -> str:
    """What to say of a name or a pattern that no column fits, as the end of a sentence."""
    return f"it has {listed(there)}{'' if is_pattern(name) else resembling(name, there)}"


def _fits(pattern: str, name: str) -> bool:
    """Each part is looked for once, behind the one before: no pattern takes longer than the name has characters."""
    first, *parts, last = pattern.split(_ANY)
    place, end = len(first), len(name) - len(last)
    if place > end or not name.startswith(first) or not name.endswith(last):
        return False
    for part in parts:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def listed(names: Sequence[str]) -> str:
    """The first of them: a table may have thousands of columns, and this is part of a sentence."""
    told = ", ".join(f"`{name[:_SHOWN_CHARACTERS]}`" for name in names[:_SHOWN])
    return f"{told} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else told or "none"


def resembling(name: str, names: Collection[str]) -> str:
    """What to say where a column is not among others but one looks like it, as the end of a sentence; empty: none does.

    Of two names that look the same on the screen nobody sees what is wrong.
    """
    for how, form in _FORMS.items():
        for other in names:
            if form(other) == form(name):
                return f" (`{other[:_SHOWN_CHARACTERS]}` is another name: {how})"
    return ""


def _letters(name: str) -> str:
    import unicodedata  # noqa: PLC0415 - only those who have to say what is wrong need it

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
