"""Tables of a Storage in memory. Queries are run by the real code, on DuckDB."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

from componentrun.client.storage.tablestore import FilesRewritten, Preview, TableInfo
from componentrun.errors import Reason, UserError
from componentrun.loader.reading.querying import answer_of
from componentrun.loader.reading.referenced import referenced_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO

    from componentrun.client.storage.progress import Progress
    from componentrun.client.storage.tablestore import EventAnswer, QueryAnswer, TableDetails, TableVersion

START = datetime(2026, 11, 24, 8, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class FoundEvents:
    """A query over events."""

    answer: QueryAnswer
    until: datetime | None


class FakeTables:
    """Tables in memory; `problem` makes every call fail."""

    storage = "main"

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.primary_key: tuple[str, ...] = ()
        self.problem: Exception | None = None
        self.by = ""
        self.left_out: list[str] = []
        self.restored = 0
        self.versions: dict[str, list[TableVersion]] = {}
        self.known: dict[str, TableDetails] = {}
        self.outcome = "rewritten"
        self.events_until: datetime | None = START
        self.asked_times: tuple[datetime | None, datetime | None] = (None, None)

    def all(self, bucket: str | None = None) -> list[TableInfo]:
        return [self._info(name) for name in self.content if bucket is None or name.startswith(f"{bucket}.")]

    def put(
        self,
        file: Path,
        table: str,
        *,
        incremental: bool,
        primary_key: Sequence[str],
        progress: Progress,
    ) -> TableInfo:
        if self.problem is not None:
            raise self.problem
        body = file.read_bytes()
        self.content[table] = self.content[table] + body.split(b"\n", 1)[1] if incremental else body
        self.primary_key = tuple(primary_key)
        progress(len(body), None)
        return self._info(table)

    def get(self, table: str, target: IO[bytes], progress: Progress) -> TableInfo:
        if table not in self.content:
            raise UserError(f"there is no table `{table}`", Reason.INPUT_NOT_FOUND)
        target.write(self.content[table])
        progress(len(self.content[table]), None)
        return self._info(table)

    def head(self, table: str, rows: int) -> Preview:
        header, *body = [tuple(line.split(",")) for line in self.content[table].decode().splitlines()]
        return Preview(header, tuple(body[:rows]))

    def remove(self, table: str, *, who: str) -> int | None:
        self.by = who
        return 1 if self.content.pop(table, None) is not None else None

    def export(self, table: str, target: Path, *, text: bool) -> int:
        target.write_bytes(b"text" if text else b"typed")
        return self._info(table).rows or 0

    def details(self, table: str) -> TableDetails:
        if self.problem is not None:
            raise self.problem
        return self.known[table]

    def history(self, table: str, limit: int) -> list[TableVersion]:
        return self.versions[table][:limit]

    def restore(self, table: str, version: int, *, who: str) -> TableInfo:
        self.by = who
        self.restored = version
        return self._info(table)

    @contextmanager
    def query(self, query: str) -> Iterator[QueryAnswer]:
        if self.problem is not None:
            raise self.problem
        referenced_tables(query)
        with TemporaryDirectory() as folder, duckdb.connect() as connection:
            for name, content in self.content.items():
                Path(folder, "table.csv").write_bytes(content)
                connection.execute(f"CREATE TABLE \"{name}\" AS FROM read_csv('{folder}/table.csv')")
            yield answer_of(connection, query, folder, self.left_out)

    @contextmanager
    def query_events(self, query: str, since: datetime | None, until: datetime | None) -> Iterator[EventAnswer]:
        if self.problem is not None:
            raise self.problem
        self.asked_times = (since, until)
        with TemporaryDirectory() as folder, duckdb.connect() as connection:
            connection.execute(
                "CREATE TABLE events AS FROM (VALUES (1, 'info', 'a'), (2, 'error', 'b')) t(seq, type, message)"
            )
            yield FoundEvents(answer_of(connection, query, folder), self.events_until)

    def compact(self, table: str, *, dry_run: bool) -> FilesRewritten:
        outcome = "wouldRewrite" if dry_run else self.outcome
        reason = "it is partitioned" if outcome == "unsupported" else ""
        return FilesRewritten(table, outcome, reason, 60, 1, 9000, 0 if dry_run else 8000)

    def _info(self, table: str) -> TableInfo:
        header, *body = self.content[table].decode().splitlines()
        columns = tuple(header.split(","))
        size = sum(len(line) + 1 for line in body)
        return TableInfo(table, columns, self.primary_key, len(body), size, 1, START, "load-1")
