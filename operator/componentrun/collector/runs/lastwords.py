"""The end of what a component printed, for runs whose node can't say how it ended. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from componentrun.core.podstatus.results import CUT_MARK, MAX_LAST_WORDS, tail

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LastWords"]


class LastWords:
    """The last lines of the container that was heard last: those of an earlier attempt are of no interest."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._container = ""
        self._lines: deque[str] = deque()
        self._size = 0
        self._cut = False
        """Whether lines are missing before these."""

    def add(self, container: str, line: str) -> None:
        """A line of a container, redacted."""
        if container != self._container:
            self._container, self._size, self._cut = container, 0, False
            self._lines.clear()
        self._lines.append(line)
        self._size += len(line) + 1
        while len(self._lines) > 1 and self._size - len(self._lines[0]) > MAX_LAST_WORDS:
            self._size -= len(self._lines.popleft()) + 1
            self._cut = True

    def extend(self, container: str, lines: Sequence[str]) -> None:
        """Lines of a container: of many, only the last ones matter."""
        size, begin = 0, len(lines)
        while begin and size <= MAX_LAST_WORDS:
            begin -= 1
            size += len(lines[begin]) + 1
        for line in lines[begin:]:
            self.add(container, line)
        self._cut = self._cut or begin > 0

    def of(self, container: str) -> str | None:
        """What fits of the end of what this container said; None where it said nothing, or another spoke since."""
        if container != self._container:
            return None
        if self._lines and len(self._lines[-1]) > MAX_LAST_WORDS:
            # Of one long error the beginning says what is wrong, and its end where.
            half = MAX_LAST_WORDS // 2
            return f"{self._lines[-1][:half]}{CUT_MARK}{self._lines[-1][-half:]}"
        text = tail("\n".join(self._lines), MAX_LAST_WORDS)
        return f"{CUT_MARK}\n{text}" if text and self._cut and not text.startswith(CUT_MARK) else text or None
