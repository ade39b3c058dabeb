"""How things look: aligned columns without boxes, colour only on a terminal, data on stdout, progress on stderr.

Nothing here wraps or cuts an id: what is printed to a pipe is what `grep` and `awk` get.
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
"""Of what stands below a title."""
LABEL_WIDTH: Final = 14
"""Of the labels of facts, with the space behind them."""
_GAP: Final = "   "
_OBEYED: Final = re.compile(r"[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""As in `words.clean`, but for what JSON and YAML escape themselves."""
STYLES: Final = {
    "Succeeded": "green", "Success": "green", "True": "green", "ok": "green",
    "Running": "cyan", "StagingIn": "cyan", "StagingOut": "cyan", "Publishing": "cyan",
    "Failed": "bold red", "Error": "bold red", "fail": "bold red", "error": "red",
    "Cancelled": "yellow", "Warning": "yellow", "warn": "yellow", "False": "yellow",
    "Queued": "dim", "Pending": "dim", "Suspended": "dim", "Unknown": "dim",
}  # fmt: skip


class Format(StrEnum):
    """How a thing is printed for programs."""

    JSON = "json"
    YAML = "yaml"


class ListFormat(StrEnum):
    """How a list is printed."""

    JSON = "json"
    YAML = "yaml"
    WIDE = "wide"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of text with a style of rich (`bold`, `red`); the style is lost where there is no colour."""

    text: str
    style: str = ""
    right: bool = False
    """Align to the right: numbers."""


Row = list[Cell | str]
"""One line of a table."""


def styled(word: str) -> Cell:
    """A word of status in its colour."""
    return Cell(word, STYLES.get(word, ""))


@dataclass
class Output:
    """Where one invocation writes. Streams are looked up late, so that tests can put theirs in place."""

    _consoles: dict[str, Console] = field(default_factory=dict)

    def line(self, *parts: Cell | str) -> None:
        """One line of data on stdout."""
        self._write("stdout", parts)

    def fact(self, label: str, *parts: Cell | str) -> None:
        """One line of a summary: what it is about, and what there is to say."""
        self.line(Cell(f"{label + ':':<{LABEL_WIDTH}}", "bold"), *parts)

    def note(self, *parts: Cell | str) -> None:
        """One line about what is going on, on stderr."""
        self._write("stderr", parts)

    def raw(self, text: str) -> None:
        """Text for programs on stdout, untouched."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Cell | str]], *, indent: str = "") -> None:
        """Columns, aligned; the last one is as long as it is."""
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
        """Whether progress makes sense: a person looks at stderr."""
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
        """Texts of several lines are blocks, which a person can read and change."""

        def represent_text(self, text: str) -> Any:
            return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Dumper.add_representer(str, Dumper.represent_text)
    text = str(yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True))
    return str(yaml.dump(value, Dumper=Dumper, sort_keys=False)) if _OBEYED.search(text) else text


def json_text(value: Any, *, indent: int | None = None) -> str:
    """A value as JSON, safe on a terminal, too: what that would obey is written as an escape."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
