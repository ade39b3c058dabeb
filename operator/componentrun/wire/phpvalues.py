"""Values of an exported configuration or component, as PHP wrote them. Pure.

PHP writes an empty object as an empty list, a list with gaps as an object whose keys are numbers, and sometimes numbers
as texts. A value of any other kind than expected is reported with its path and left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from componentrun.wire.jsontext import kind_of

__all__ = ["EMPTY", "Tell", "flag_at", "list_at", "object_at", "whole_number"]

Tell = Callable[[str, str], None]
"""Reports a path and why its value is left out."""

EMPTY: Final[tuple[Any, ...]] = (None, "", [], {}, False)
"""Empty values."""
_MOST_DIGITS: Final = 18
_FLAGS: Final = {"1": True, "true": True, "0": False, "false": False}


def object_at(value: Any, path: str, tell: Tell) -> dict[str, Any]:
    """The object at a path; empty if there is none."""
    if isinstance(value, dict):
        return value
    if value not in EMPTY:
        tell(path, f"found {kind_of(value)}, expected an object")
    return {}


def list_at(value: Any, path: str, tell: Tell) -> list[Any]:
    """The list at a path; empty if there is none."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and all(key.isdecimal() for key in value):
        return list(value.values())
    if value not in EMPTY:
        tell(path, f"found {kind_of(value)}, expected a list")
    return []


def flag_at(value: Any, path: str, tell: Tell) -> bool | None:
    """True or false, also as the number or text that PHP makes of it; None if it is not set."""
    if isinstance(value, bool) or value in (None, ""):
        return None if value == "" else value
    flag = _FLAGS.get(str(value).lower()) if isinstance(value, str | int) else None
    if flag is None:
        tell(path, f"found {kind_of(value)}, expected true or false")
    return flag


def whole_number(value: Any) -> Any:
    """The number in a text of digits; any other value as it is."""
    is_whole = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS
    return int(value) if is_whole else value
