r"""Paths of secrets below a run's parameters: `db.#password`, `accounts.0.#token`. Pure.

Keys are separated by dots; in a key, a dot is written `\.` and a backslash `\\`, as `#my\.token`.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["PATTERN", "keys_of"]

_KEY: Final = r"([^.\\]|\\[.\\])+"
PATTERN: Final = rf"^{_KEY}(\.{_KEY})*$"
"""Pattern of a path."""
_PARTS: Final = re.compile(r"(?:[^.\\]|\\.)+")


def keys_of(path: str) -> list[str]:
    """Return the keys of a path, with list items by index; the last key is that of the value."""
    return [re.sub(r"\\(.)", r"\1", part) for part in _PARTS.findall(path)]
