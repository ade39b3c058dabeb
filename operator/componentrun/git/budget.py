"""Limits what a git host may send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.git.failures import too_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.core.builds.source import GitUrl

__all__ = ["Budget"]


class Budget:
    """A number of bytes for one conversation."""

    def __init__(self, limit: int, url: GitUrl) -> None:
        """`limit` is in bytes."""
        self._limit = limit
        self._left = limit
        self._url = url

    def reading(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """The same function, which raises a BuildError when the budget is spent."""

        def limited(size: int) -> bytes:
            content = read(size)
            self._left -= len(content)
            if self._left < 0:
                raise too_large(self._url, "what the host sends", self._limit, "bytes")
            return content

        return limited
