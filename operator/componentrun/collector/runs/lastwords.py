"""The last lines that a component printed, for runs whose node can't report how it ended. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from componentrun.core.podstatus.results import CUT_MARK, MAX_LAST_WORDS, tail

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LastWords"]


class LastWords:
    """The last lines of the container that printed last. Lines of earlier attempts are dropped."""

    def __init__(self) -> None:
        """Start without lines."""
        self._container = ""
        self._lines: deque[str] = deque()
        self._size = 0
        self._is_truncated = False
        """Whether earlier lines were dropped."""

    def add(self, container: str, line: str) -> None:
        """Add a redacted line of a container."""
        if container != self._container:
            self._container, self._size, self._is_truncated = container, 0, False
            self._lines.clear()
        self._lines.append(line)
        self._size += len(line) + 1
        while len(self._lines) > 1 and self._size - len(self._lines[0]) > MAX_LAST_WORDS:
            self._size -= len(self._lines.popleft()) + 1
            self._is_truncated = True

    def extend(self, container: str, lines: Sequence[str]) -> None:
        """Add redacted lines of a container; only the last ones are kept."""
        size, begin = 0, len(lines)
        while begin and size <= MAX_LAST_WORDS:
            begin -= 1
            size += len(lines[begin]) + 1
        for line in lines[begin:]:
            self.add(container, line)
        self._is_truncated = self._is_truncated or begin > 0

    def of(self, container: str) -> str | None:
        """The last lines of this container that fit; None if it printed nothing, or another container printed later."""
        if container != self._container:
            return None
        if self._lines and len(self._lines[-1]) > MAX_LAST_WORDS:
            # The beginning of a long error says what is wrong, and its end where.
            half = MAX_LAST_WORDS // 2
            return f"{self._lines[-1][:half]}{CUT_MARK}{self._lines[-1][-half:]}"
        text = tail("\n".join(self._lines), MAX_LAST_WORDS)
        return f"{CUT_MARK}\n{text}" if text and self._is_truncated and not text.startswith(CUT_MARK) else text or None
