"""Parquet files with field ids and files of deleted positions, written by DuckDB as an Iceberg writer leaves them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb

from componentrun.sql.scan import delete_statements, scan_of
from componentrun.sql.tables import Mapping, copy_statement
from componentrun.wire.parquet import ParquetColumn, ParquetFile, ParquetTable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from collections.abc import Mapping as MappingOf
    from pathlib import Path

    from componentrun.wire.agents import Where

TIMESTAMP_ID = 1000
Column = tuple[str, int, str]
"""Name, field id, type in Parquet as DuckDB calls it."""


@dataclass
class Files:
    """Files of one table in a folder, read as if they lay in a bucket."""

    folder: Path
    data: list[ParquetFile] = field(default_factory=list)
    deletes: list[ParquetFile] = field(default_factory=list)

    def add(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[Any]],
        *,
        group: int = 2048,
        stamps: Sequence[int | None] | None = None,
        url: str | None = None,
    ) -> str:
        """Write a data file, and return its path in the bucket."""
        names = [f"x{i}" for i in range(len(columns))]
        kinds = [kind for _, _, kind in columns]
        ids = {name: number for name, (_, number, _) in zip(names, columns, strict=True)}
        quoted = {own: '"' + name.replace('"', '""') + '"' for own, (name, _, _) in zip(names, columns, strict=True)}
        chosen = [f"{own}::{kind} AS {quoted[own]}" for own, kind in zip(names, kinds, strict=True)]
        fields = [f"{quoted[own]}: {number}" for own, number in ids.items()]
        if stamps is not None:
            chosen.append("make_timestamptz(stamp) AS _timestamp")
            fields.append(f"_timestamp: {TIMESTAMP_ID}")
        file = self.folder / f"data-{len(self.data)}.parquet"
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE t ({', '.join(f'{own} VARCHAR' for own in names)}, stamp BIGINT)")
            if rows:
                lists = [list(values) for values in zip(*rows, strict=True)] + [list(stamps or [0] * len(rows))]
                marks = ["unnest(?::VARCHAR[])"] * len(names) + ["unnest(?::BIGINT[])"]
                connection.execute(f"INSERT INTO t SELECT {', '.join(marks)}", lists)
            connection.execute(
                f"COPY (SELECT {', '.join(chosen)} FROM t) TO '{file}' "  # noqa: S608 - made here
                f"(FORMAT parquet, FIELD_IDS {{{', '.join(fields)}}}, ROW_GROUP_SIZE {group})"
            )
        path = f"s3://lake/t/{file.name}"
        self.data.append(ParquetFile(url or str(file), path, file.stat().st_size, len(rows), ()))
        return path

    def delete(self, positions: MappingOf[str, Collection[int]]) -> None:
        """Write a file of deleted positions, by the paths of their files."""
        file = self.folder / f"delete-{len(self.deletes)}.parquet"
        pairs = sorted((path, position) for path, found in positions.items() for position in found)
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE t (file_path VARCHAR, pos BIGINT)")
            if pairs:
                lists = [list(values) for values in zip(*pairs, strict=True)]
                connection.execute("INSERT INTO t SELECT unnest(?::VARCHAR[]), unnest(?::BIGINT[])", lists)
            connection.execute(
                f"COPY t TO '{file}' (FORMAT parquet, FIELD_IDS {{file_path: 2147483546, pos: 2147483545}})"
            )
        number = len(self.deletes)
        self.deletes.append(ParquetFile(str(file), f"s3://lake/t/{file.name}", file.stat().st_size))
        self.data = [
            ParquetFile(item.url, item.path, item.size, item.rows, (*item.deletes, number))
            if item.path in positions
            else item
            for item in self.data
        ]

    def table(self, *columns: tuple[str, int, str], after: int | None = None) -> ParquetTable:
        """All files, with the columns of the current schema."""
        found = tuple(ParquetColumn(name, number, kind) for name, number, kind in columns)
        return ParquetTable(found, tuple(self.data), tuple(self.deletes), TIMESTAMP_ID, after)


def delivered(
    table: ParquetTable,
    folder: Path,
    select: tuple[str, ...] | None = None,
    where: Where | None = None,
    limit: int | None = None,
) -> bytes:
    """The CSV file that becomes of a table."""
    names = tuple(column.name for column in table.columns)
    mapping = Mapping(names, select=select, where=where, limit=limit)
    wanted = {*(select or names), *([where.column] if where is not None else [])}
    target = folder / "out.csv"
    with duckdb.connect(config={"threads": 4}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in delete_statements(table, "t"):
            connection.execute(statement)
        connection.execute(copy_statement(mapping, scan_of(table, wanted, "t", where=where), str(target), header=False))
    return target.read_bytes()
