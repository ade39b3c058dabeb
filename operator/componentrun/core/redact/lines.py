"""Redacts the lines of one container, with state from its earlier lines. Pure.

A private key that is printed line by line is recognised by its first line. After it, all lines that look like part of a
key are redacted. A line `::add-mask::VALUE` masks a value in all later lines of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun.core.redact.masks import COMMAND, values_in
from componentrun.core.redact.redactor import DEEPEST, MARK, marked
from componentrun.core.redact.shapes import KEY_BEGIN, KEY_END, key_spans

if TYPE_CHECKING:
    from componentrun.core.redact.masks import Masks, Refusal
    from componentrun.core.redact.redactor import Redactor

__all__ = ["LineRedactor"]

_MOST_KEY_LINES: Final = 256
"""Maximum number of lines of one private key; RSA keys of 16,384 bits have 210."""
_MOST_OTHER_LINES: Final = 16
"""Number of consecutive lines that do not look like part of a key, after which the key is assumed to have ended."""


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
        self._refusals: list[Refusal] = []

    @property
    def has_masks(self) -> bool:
        """Whether lines have asked to redact values."""
        return self._masks is not None and self._masks.has_values

    def refused(self) -> list[Refusal]:
        """Reasons why values of `::add-mask::` lines since the last call were not accepted."""
        refusals, self._refusals = self._refusals, []
        return refusals

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
        """Redact the fields of a structured log line; see `Redactor.value`. Any field may be a line of a private key.

        `text` was called with the message, and has counted the line. If a field contains a part of the key, the key
        continues.
        """
        return self._redactor.value(self._fields_without_key(value))

    def _fields_without_key(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, str):
            return self._field_without_key(value)
        if depth >= DEEPEST or not isinstance(value, dict | list):
            return value
        if isinstance(value, list):
            return [self._fields_without_key(item, depth + 1) for item in value]
        return {name: self._fields_without_key(item, depth + 1) for name, item in value.items()}

    def _field_without_key(self, text: str) -> str:
        spans: list[tuple[int, int]] = []
        position = 0
        if self.key_lines:
            spans, end = _key_parts(text)
            if end is not None:
                self.key_lines, position = 0, end
            elif spans:
                self._others = 0
        self._note_begin(text, position)
        return marked(text, spans) if spans else text

    def _with_masks(self, text: str) -> str:
        if self._masks is None:
            return text
        for value in values_in(text):
            refusal = self._masks.add(value)
            if refusal is not None:
                self._refusals.append(refusal)
        return "\n".join(
            f"{COMMAND}{MARK}" if line.lstrip(" \t").startswith(COMMAND) else line for line in text.split("\n")
        )

    def _without_key(self, text: str) -> str:
        spans: list[tuple[int, int]] = []
        position = 0
        if self.key_lines:
            spans, end = _key_parts(text)
            position = end or 0
            self._count(ended=end is not None, fits=bool(spans))
        self._note_begin(text, position)
        return marked(text, spans) if spans else text

    def _note_begin(self, text: str, position: int) -> None:
        """If a private key begins after a position and has no end in this text, expect it in later lines."""
        if self.key_lines or "-----BEGIN " not in text:
            return
        begins = list(KEY_BEGIN.finditer(text, position))
        if begins and KEY_END.search(text, begins[-1].end()) is None:
            self.key_lines, self._others = _MOST_KEY_LINES, 0

    def _count(self, *, ended: bool, fits: bool) -> None:
        self._others = 0 if fits else self._others + 1
        self.key_lines = 0 if ended or self._others > _MOST_OTHER_LINES else self.key_lines - 1


def _key_parts(text: str) -> tuple[list[tuple[int, int]], int | None]:
    """Spans of a private key that began in an earlier line, and the position after its end marker.

    The position is None if the text has no end marker.
    """
    end = KEY_END.search(text)
    spans = list(key_spans(text, 0, len(text) if end is None else end.start()))
    bare = text.strip()
    if end is None and not spans and bare.isascii() and bare.isalnum():
        spans = [(0, len(text))]  # the last line of a key may be short
    return spans, None if end is None else end.end()


if TYPE_CHECKING:
    AnyRedactor = Redactor | LineRedactor
