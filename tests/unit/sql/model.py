"""What a table is, in plain Python: the model that storage and DuckDB are compared with."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

csv.field_size_limit(2**26)
Row = tuple[str, ...]


def encode(rows: Iterable[Sequence[str]], *, end: str = "\n", quote_all: bool = False) -> bytes:
    """Headerless CSV."""
    return "".join(",".join(_field(value, quote=quote_all) for value in row) + end for row in rows).encode()


def _field(value: str, *, quote: bool) -> str:
    quote = quote or any(sign in value for sign in ',"\r\n')
    return '"' + value.replace('"', '""') + '"' if quote else value


def decode(data: bytes) -> list[Row]:
    """All rows, the header line first. In a table of one column an empty line is a row."""
    rows = [tuple(row) for row in csv.reader(io.StringIO(data.decode(), newline=""), strict=True)]
    return [row or ("",) for row in rows]


@dataclass
class ModelTable:
    """A table as its users think of it."""

    columns: list[str] = field(default_factory=list)
    key: tuple[str, ...] = ()
    rows: list[dict[str, str]] = field(default_factory=list)

    def load(
        self,
        columns: Sequence[str],
        rows: Iterable[Row],
        *,
        incremental: bool,
        key: tuple[str, ...],
        insert: bool = False,
    ) -> None:
        """A full load replaces everything, an incremental one adds rows and perhaps columns.

        Rows that are inserted replace none of the same key.
        """
        if not incremental or not self.columns:
            self.columns, self.rows, self.key = list(columns), [], key
        self.columns += [name for name in columns if name not in self.columns]
        for row in self.rows:
            for name in self.columns:
                row.setdefault(name, "")
        for values in rows:
            self._put(dict.fromkeys(self.columns, "") | dict(zip(columns, values, strict=True)), insert=insert)

    def _put(self, row: dict[str, str], *, insert: bool) -> None:
        if self.key and not insert:
            self.rows = [old for old in self.rows if any(old[name] != row[name] for name in self.key)]
        self.rows.append(row)

    def delete(self, column: str, operator: str, values: Sequence[str]) -> None:
        """Rows whose value is one of these (eq), or none of them (ne)."""
        self.rows = [row for row in self.rows if (row.get(column, "") in values) == (operator == "ne")]

    def content(self) -> list[Row]:
        """Header and rows."""
        return [tuple(self.columns), *(tuple(row[name] for name in self.columns) for row in self.rows)]
