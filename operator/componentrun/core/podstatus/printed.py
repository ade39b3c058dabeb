r"""What a container printed, as text that people read. Pure.

Terminals act on some characters where an event would only show them: colours and other escape sequences are taken
out, a line that was written over with carriage returns (a progress bar) is what stood there last, backspaces are
obeyed, and other control characters, NUL among them, are left out. Bytes that are not UTF-8 are shown as escapes
(`\xff`). So a secret that is coloured in the middle is found, and nothing in an event can act on a reader's terminal.
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["plain", "plain_value", "readable"]

_ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, moves of the cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links: the text of a link stands outside
    r"|\x1b[PX^_][^\x1b]*\x1b\\"  # texts for the terminal itself
    r"|\x1b[ -/]*[0-~]?"  # all others, and what was begun and not ended
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All but tabs and newlines."""
_HALVES: Final = re.compile(r"[\ud800-\udfff]")
"""Of surrogate pairs, from escapes in JSON: no UTF-8, and as escapes no text for most readers of JSON."""
_DEEPEST: Final = 20
"""Levels of a JSON value that are looked through; the redactor leaves out what lies deeper."""


def readable(data: bytes) -> str:
    """One printed line as text."""
    text = data.decode(errors="backslashreplace")
    return text if text.isprintable() else plain(text)


def plain(text: str) -> str:
    """The text as a terminal would show it, line by line, without colours."""
    if "\x1b" in text or "\x9b" in text:
        text = _ESCAPES.sub("", text)
    if "\r" in text:
        text = "\n".join(_last_state(line) for line in text.replace("\r\n", "\n").split("\n"))
    if "\b" in text:
        text = _backspaced(text)
    return _HALVES.sub(_escaped, _CONTROLS.sub("", text))


def _escaped(half: re.Match[str]) -> str:
    return f"\\u{ord(half[0]):04x}"


def plain_value(value: Any, depth: int = 0) -> Any:
    """A JSON value with each text in it, keys too, as `plain` makes it."""
    if isinstance(value, str):
        return value if value.isprintable() else plain(value)
    if depth >= _DEEPEST:
        return value
    if isinstance(value, list):
        return [plain_value(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {plain_value(key): plain_value(item, depth + 1) for key, item in value.items()}
    return value


def _last_state(line: str) -> str:
    """What was written last over the line; blanks only clear it."""
    return next((state for state in reversed(line.split("\r")) if state and not state.isspace()), "")


def _backspaced(text: str) -> str:
    shown: list[str] = []
    for character in text:
        if character != "\b":
            shown.append(character)
        elif shown and shown[-1] != "\n":
            shown.pop()
    return "".join(shown)
