"""Names of columns in messages. Pure.

Names are told between backticks, so that spaces at their ends are seen, and never more of them than a sentence bears.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

__all__ = ["listed", "resembling"]

_SHOWN: Final = 10
_SHOWN_CHARACTERS: Final = 100


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
