"""Progress of a transfer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "no_progress"]

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes that are done and the bytes that there are (None: unknown)."""


def no_progress(_done: int, _total: int | None) -> None:
    """Report nothing."""
