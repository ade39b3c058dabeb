"""Formatting of output: aligned columns without boxes, colour on terminals only, data on stdout, progress on stderr.

Nothing is wrapped or truncated, so that `grep` and `awk` can be used.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, Final

from componentrun.cli.terminal.words import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

__all__ = ["INDENT", "LABEL_WIDTH", "Cell", "Format", "ListFormat", "Output", "Row", "document", "json_text", "styled"]

INDENT: Final = "  "
"""Indentation of lines below a title."""
LABEL_WIDTH: Final = 14
"""Width of labels, including the space after them."""
_GAP: Final = "   "
_OBEYED: Final = re.compile(r"[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""As in `words.clean`, without the characters that JSON and YAML escape themselves."""
STYLES: Final = {
    "Succeeded": "green", "Success": "green", "True": "green", "ok": "green",
    "Running": "cyan", "StagingIn": "cyan", "StagingOut": "cyan", "Publishing": "cyan",
    "Fetching": "cyan", "Pushing": "cyan",
    "Failed": "bold red", "Error": "bold red", "fail": "bold red", "error": "red",
    "Cancelled": "yellow", "Warning": "yellow", "warn": "yellow", "False": "yellow",
    "Queued": "dim", "Pending": "dim", "Suspended": "dim", "Unknown": "dim",
}  # fmt: skip


class Format(StrEnum):
    """Output format for programs."""

    JSON = "json"
    YAML = "yaml"


class ListFormat(StrEnum):
    """Output format of a list."""

    JSON = "json"
    YAML = "yaml"
    WIDE = "wide"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of text with a style of rich (`bold`, `red`); the style is ignored without colour."""

    text: str
    style: str = ""
    right: bool = False
    """Align to the right: numbers."""


Row = list[Cell | str]
"""One line of a table."""


def styled(word: str) -> Cell:
    """A status with its colour."""
    return Cell(word, STYLES.get(word, ""))


@dataclass
class Output:
    """Output of one invocation. Streams are looked up at each call, so that tests can replace them."""

    _consoles: dict[str, Console] = field(default_factory=dict)

    def line(self, *parts: Cell | str) -> None:
        """Print a line of data on stdout."""
        self._write("stdout", parts)

    def fact(self, label: str, *parts: Cell | str) -> None:
        """Print a line of a summary: a label and its value."""
        self.line(Cell(f"{label + ':':<{LABEL_WIDTH}}", "bold"), *parts)

    def note(self, *parts: Cell | str) -> None:
        """Print a line of progress, or a message, on stderr."""
        self._write("stderr", parts)

    def raw(self, text: str) -> None:
        """Print text on stdout as it is."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Cell | str]], *, indent: str = "") -> None:
        """Print rows in aligned columns; the last column is not padded."""
        cells = [[_cell(part) for part in row] for row in rows]
        if header:
            cells.insert(
                0, [Cell(word, "bold", cells[0][i].right if cells else False) for i, word in enumerate(header)]
            )
        if not cells:
            return
        widths = [max(len(row[i].text) for row in cells) for i in range(len(cells[0]))]
        for row in cells:
            self.line(indent, *_aligned(row, widths))

    def on_terminal(self) -> bool:
        """Whether stderr is a terminal, on which progress is shown."""
        return sys.stderr.isatty()

    def _write(self, stream: str, parts: Sequence[Cell | str]) -> None:
        target: IO[str] = getattr(sys, stream)
        cells = [_cell(part) for part in parts]
        if not target.isatty():
            target.write("".join(cell.text for cell in cells).rstrip() + "\n")
            target.flush()
            return
        self._console(stream).print(_text(cells), soft_wrap=True, highlight=False)

    def _console(self, stream: str) -> Console:
        if stream not in self._consoles:
            from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

            self._consoles[stream] = Console(stderr=stream == "stderr")
        return self._consoles[stream]


def _text(cells: Sequence[Cell]) -> Any:
    from rich.text import Text  # noqa: PLC0415 - only a terminal needs it

    return Text.assemble(*((cell.text, cell.style) for cell in cells))


def _cell(part: Cell | str) -> Cell:
    cell = part if isinstance(part, Cell) else Cell(part)
    return Cell(clean(cell.text), cell.style, cell.right)


def _aligned(row: Sequence[Cell], widths: Sequence[int]) -> list[Cell]:
    padded = []
    for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
        last = i == len(row) - 1
        text = cell.text.rjust(width) if cell.right else (cell.text if last else cell.text.ljust(width))
        padded.append(Cell(text if last else text + _GAP, cell.style))
    return padded


def document(value: Any, form: Format | ListFormat) -> str:
    """A value as JSON or YAML, as `kubectl` would print it."""
    if form == "json":
        return json_text(value, indent=2) + "\n"
    import yaml  # noqa: PLC0415 - takes a while to load and is rarely needed

    class Dumper(yaml.SafeDumper):
        """Dumps texts of several lines as blocks, which are easy to read and edit."""

        def represent_text(self, text: str) -> Any:
            return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Dumper.add_representer(str, Dumper.represent_text)
    text = str(yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True))
    return str(yaml.dump(value, Dumper=Dumper, sort_keys=False)) if _OBEYED.search(text) else text


def json_text(value: Any, *, indent: int | None = None) -> str:
    """A value as JSON, with control characters escaped, so that it is safe on a terminal."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
