r"""Where a secret goes below a run's parameters: `db.#password`, `accounts.0.#token`. Pure.

Keys are separated by dots; in a key, a dot is written `\.` and a backslash `\\`, as `#my\.token`.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["PATTERN", "keys_of"]

_KEY: Final = r"([^.\\]|\\[.\\])+"
PATTERN: Final = rf"^{_KEY}(\.{_KEY})*$"
"""What a path looks like."""
_PARTS: Final = re.compile(r"(?:[^.\\]|\\.)+")


def keys_of(path: str) -> list[str]:
    """The keys on the way, the last one is where the value goes; items of lists by their index."""
    return [re.sub(r"\\(.)", r"\1", part) for part in _PARTS.findall(path)]
