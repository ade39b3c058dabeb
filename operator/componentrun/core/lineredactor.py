"""Redacts the lines of one container, with state from its earlier lines. Pure.

A private key that is printed line by line is recognised by its first line; then all lines that look like part of a key
are redacted. A line `::add-mask::VALUE` masks a value in all later lines of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun.core.masks import COMMAND, values_in
from componentrun.core.redactor import MARK, marked
from componentrun.core.secretshapes import KEY_BEGIN, KEY_END, key_spans

if TYPE_CHECKING:
    from componentrun.core.masks import Masks, Refusal
    from componentrun.core.redactor import Redactor

__all__ = ["LineRedactor"]

_MOST_KEY_LINES: Final = 256
"""Maximum number of lines of one private key; RSA keys of 16,384 bits have 210."""
_MOST_OTHER_LINES: Final = 16
"""Lines in a row that do not look like part of a key, after which it counts as ended or only mentioned."""


class LineRedactor:
    """Redactor of one container's lines.

    Attributes:
        key_lines: how many lines of a private key may still follow.
    """

    def __init__(self, redactor: Redactor, masks: Masks | None = None, key_lines: int = 0) -> None:
        """Start with the state in `key_lines`.

        Args:
            redactor: redacts known values and forms.
            masks: stores values of `::add-mask::` lines; None: such lines are not supported.
            key_lines: how many lines of a private key may still follow.
        """
        self._redactor, self._masks = redactor, masks
        self.key_lines = key_lines
        self._others = 0
        self._refused: list[Refusal] = []

    def refused(self) -> list[Refusal]:
        """Reasons why values of `::add-mask::` lines since the last call were not accepted."""
        refused, self._refused = self._refused, []
        return refused

    def untouched(self, text: str) -> bool:
        """See `Redactor.untouched`; also false if the text affects later lines."""
        return not self.key_lines and COMMAND not in text and self._redactor.untouched(text)

    def text(self, text: str, *, cut_before: bool = False, cut_behind: bool = False) -> str:
        """See `Redactor.text`."""
        if COMMAND in text:
            text = self._with_masks(text)
        if self.key_lines or "-----BEGIN " in text:
            text = self._without_key(text)
        return self._redactor.text(text, cut_before=cut_before, cut_behind=cut_behind)

    def value(self, value: Any) -> Any:
        """See `Redactor.value`; a text in it may be a line of a private key."""
        if self.key_lines and isinstance(value, dict):
            value = {name: self._without_key(item) if isinstance(item, str) else item for name, item in value.items()}
        return self._redactor.value(value)

    def _with_masks(self, text: str) -> str:
        if self._masks is None:
            return text
        for value in values_in(text):
            why = self._masks.add(value)
            if why is not None:
                self._refused.append(why)
        return "\n".join(
            f"{COMMAND}{MARK}" if line.lstrip(" \t").startswith(COMMAND) else line for line in text.split("\n")
        )

    def _without_key(self, text: str) -> str:
        spans: list[tuple[int, int]] = []
        at = 0
        if self.key_lines:
            end = KEY_END.search(text)
            at = len(text) if end is None else end.end()
            spans = list(key_spans(text, 0, at if end is None else end.start()))
            bare = text.strip()
            if end is None and not spans and bare.isascii() and bare.isalnum():
                spans = [(0, len(text))]  # the last line of a key may be short
            self._count(ended=end is not None, fits=bool(spans))
        if not self.key_lines:
            begins = list(KEY_BEGIN.finditer(text, at if at < len(text) else 0))
            if begins and KEY_END.search(text, begins[-1].end()) is None:
                self.key_lines, self._others = _MOST_KEY_LINES, 0
        return marked(text, sorted(spans)) if spans else text

    def _count(self, *, ended: bool, fits: bool) -> None:
        self._others = 0 if fits else self._others + 1
        self.key_lines = 0 if ended or self._others > _MOST_OTHER_LINES else self.key_lines - 1


if TYPE_CHECKING:
    AnyRedactor = Redactor | LineRedactor
