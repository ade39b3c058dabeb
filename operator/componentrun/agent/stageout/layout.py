"""Finds the columns of a written file and the start of its rows, from its header line, its manifest, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.agent.firstline import doubtful_content, header_as_row, other_names
from componentrun.agent.folder import shown
from componentrun.contract import MAX_COLUMNS
from componentrun.csv.columnnames import listed, resembling
from componentrun.csv.text import CsvError, Header, read_first_row, read_header, start_of_text

if TYPE_CHECKING:
    from componentrun.agent.stagein.inflated import Content
    from componentrun.agent.stageout.outputs import Source
    from componentrun.csv.columnfacts import ColumnFacts
    from componentrun.errors import UserError

__all__ = ["MOST_COLUMNS", "columns_of", "header_of", "known_facts", "primary_key_of", "rows_of_slice"]

_HEADER_LINE: Final = 1
MOST_COLUMNS: Final = MAX_COLUMNS


def header_of(file: Content, source: Source, path: str) -> tuple[Header, str | None]:
    """The header of a file: its columns, and where its rows begin; with a warning if that is a guess or looks wrong.

    The contract's rule: a file has no header line if its manifest lists the columns, unless the manifest says
    `has_header`; then the line is skipped, and the names in the manifest are used. Some components write both without
    `has_header`; so a first line that contains exactly the columns is taken for a header.

    Raises:
        UserError: (OutputInvalid) no header, a malformed one, a wrong number of columns, or no such primary key.
    """
    header, warning = _header(file, source, path)
    stands_there = header.data_offset > start_of_text(file.read)
    _check_named(source, header.columns, path, _HEADER_LINE if stands_there else None)
    return header, warning or doubtful_content(file.read, header.columns, source.dialect.delimiter, path)


def columns_of(source: Source, path: str) -> tuple[str, ...]:
    """The columns of a folder of slices.

    Raises:
        UserError: (OutputInvalid) its manifest does not list them, or lacks a column of the primary key.
    """
    columns = source.columns
    if columns is None:
        raise _wrong(path, "a folder of slices needs `columns` in its manifest, because slices have no header line")
    _check_named(source, columns, path)
    return columns


def rows_of_slice(file: Content, source: Source, columns: tuple[str, ...], path: str) -> tuple[int, str | None]:
    """The offset of the rows in a slice, with a warning if its first line looks like a header or a web page.

    Slices have no header line unless the manifest says `has_header`; then each slice has one, which is skipped.

    Raises:
        UserError: (OutputInvalid) a header line that is malformed or has a different number of columns.
    """
    start = start_of_text(file.read)
    if file.size <= start:
        return start, None
    if not source.has_header:
        return start, _doubtful_row(file, source, columns, path) or _doubtful_content(file, source, columns, path)
    first = read_first_row(source.dialect.view(file.read), file.size, shown(path), source.dialect)
    if first.columns != columns and sorted(first.columns) == sorted(columns):
        raise _wrong(
            path,
            f"its header has the columns {listed(first.columns)}; expected the order that the manifest or the output "
            f"mapping says for all slices: {listed(columns)}",
            _HEADER_LINE,
        )
    taken, warning = _taken(first, columns, path)
    return taken.data_offset, warning


def primary_key_of(source: Source, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The primary key as the columns are spelled, without duplicates. Spaces count only if a column name has them."""
    there = frozenset(columns)
    return tuple(dict.fromkeys(name if name in there else name.strip() for name in source.primary_key))


def known_facts(source: Source, columns: tuple[str, ...], path: str) -> tuple[tuple[ColumnFacts, ...], str | None]:
    """Facts about columns that exist, with a warning that names the other columns."""
    there = frozenset(columns)
    strange = [item.name for item in source.facts if item.name not in there]
    warning = None
    if strange:
        warning = (
            f"{shown(path)}: its manifest tells of the column{'s' if len(strange) > 1 else ''} "
            f"{listed(strange)}, which it does not have; these were ignored."
        )
    return tuple(item for item in source.facts if item.name in there), warning


def _header(file: Content, source: Source, path: str) -> tuple[Header, str | None]:
    columns, has_header, dialect = source.columns, source.has_header, source.dialect
    read = dialect.view(file.read)
    start = start_of_text(read)
    if columns is None:
        if has_header is False:
            raise _wrong(path, "its manifest says that it has no header, and gives no columns; expected one of both")
        return read_header(read, file.size, shown(path), dialect), None
    if file.size <= start:
        return Header(columns, file.size), None
    if has_header:
        if not source.replaces_header:
            return _agreed(read_header(read, file.size, shown(path), dialect), columns, path), None
        return _taken(read_first_row(read, file.size, shown(path), dialect), columns, path)
    first = _first_row(file, source, path)
    if has_header is None and first is not None and first.columns == columns:
        return first, (
            f"{shown(path)}: its first line is exactly the columns that its manifest or the output mapping gives, so "
            "it was taken for a header. Leave one of both out, or say `has_header` in the manifest."
        )
    return Header(columns, start), None if first is None else header_as_row(first.columns, columns, path)


def _first_row(file: Content, source: Source, path: str) -> Header | None:
    """The first row, header or not; None if it is malformed, which the check of the rows reports."""
    try:
        return read_first_row(source.dialect.view(file.read), file.size, shown(path), source.dialect)
    except CsvError:
        return None


def _doubtful_row(file: Content, source: Source, columns: tuple[str, ...], path: str) -> str | None:
    first = _first_row(file, source, path)
    return None if first is None else header_as_row(first.columns, columns, path)


def _doubtful_content(file: Content, source: Source, columns: tuple[str, ...], path: str) -> str | None:
    return doubtful_content(file.read, columns, source.dialect.delimiter, path)


def _taken(header: Header, columns: tuple[str, ...], path: str) -> tuple[Header, str | None]:
    """The header with the names to use, and a warning if they differ from those in the header line."""
    found = header.columns
    if sorted(found) == sorted(columns):
        # The same names in another order: the header line describes the values.
        return header, None
    if len(found) != len(columns):
        raise _wrong(
            path,
            f"its header has {len(found)} column{'s' if len(found) != 1 else ''}, {listed(found)}; its manifest or the "
            f"output mapping says {len(columns)}, {listed(columns)}",
            _HEADER_LINE,
        )
    return Header(columns, header.data_offset), other_names(found, columns, path)


def _agreed(header: Header, columns: tuple[str, ...], path: str) -> Header:
    if sorted(header.columns) != sorted(columns):
        raise _wrong(
            path,
            f"its header has the columns {listed(header.columns)}; its manifest or the output mapping says "
            f"{listed(columns)}",
            _HEADER_LINE,
        )
    return header


def _check_named(source: Source, columns: tuple[str, ...], path: str, line: int | None = None) -> None:
    if len(columns) > MOST_COLUMNS:
        raise _wrong(path, f"it has {len(columns)} columns; expected at most {MOST_COLUMNS}", line)
    named_columns = [("the primary key column", column) for column in primary_key_of(source, columns)]
    if source.delete_where is not None:
        named_columns.append(("the column by which rows are deleted,", source.delete_where.column))
    for role, column in named_columns:
        if column not in columns:
            problem = f"{role} `{column}` is missing; it has {listed(columns)}{resembling(column, columns)}"
            raise _wrong(path, problem, line)


def _wrong(path: str, problem: str, line: int | None = None) -> UserError:
    return CsvError(shown(path), line, problem)
