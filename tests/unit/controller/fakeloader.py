"""A loader and its catalog in memory: each run is in once or not at all, and what was given up never comes in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from componentrun.errors import PlatformError, Reason, TransientError, UnknownOutcomeError, UserError
from componentrun.wire.loader import (
    CatalogCheck,
    CheckAnswer,
    FenceAnswer,
    LoadAnswer,
    LoadedTable,
    PlanAnswer,
    ScanColumn,
    ScanFile,
    TableScan,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.errors import ComponentRunError
    from componentrun.wire.loader import FenceRequest, LoadRequest, PlanRequest

FIT = CatalogCheck("connect", ok=True, detail="it answers")
LOADED = "load tables"
"""What the log of writes calls a commit of the catalog."""


@dataclass
class FakeTable:
    """A table of the catalog."""

    rows: int = 0
    loads: int = 0
    timestamp: int = 0
    """Of the last load: microseconds since 1970."""


@dataclass
class FakeLoader:
    """See the module."""

    is_away: Callable[[], bool] = lambda: False
    """Whether the catalog does not respond."""
    written: Callable[[str], None] = lambda _what: None
    """Told of each commit."""
    loads: list[LoadRequest] = field(default_factory=list)
    fences: list[FenceRequest] = field(default_factory=list)
    fails: ComponentRunError | None = None
    lands: bool = False
    """Whether a load is committed though its answer is lost."""
    loses_answers: bool = False
    """Whether loads are committed, and the loader and the catalog respond no more from then on."""
    fence_fails: ComponentRunError | None = None
    tables: dict[str, FakeTable] = field(default_factory=dict)
    published: dict[str, int] = field(default_factory=dict)
    """By the uid of the run, the attempt that is in."""
    given_up: set[tuple[str, int]] = field(default_factory=set)
    checks: list[CatalogCheck] = field(default_factory=lambda: [FIT])
    """What a check finds."""
    check_fails: ComponentRunError | None = None
    times_checked: int = 0
    installed: bool = True
    _silent: bool = False

    async def load(self, request: LoadRequest, _storage: str) -> LoadAnswer:
        self.loads.append(request)
        self._respond()
        if self.fails is None or self.lands:
            self.commit(request)
        if self.fails is not None:
            raise self.fails
        self._silent = self.loses_answers
        self._respond()
        return LoadAnswer(
            tuple(LoadedTable(table.destination, table.rows, table.size, "1") for table in request.tables),
            request.attempt,
        )

    def commit(self, request: LoadRequest) -> None:
        """Have it in, unless it is, or was given up."""
        for table in request.tables:
            if missing := set(table.primary_key) - set(table.columns):
                raise UserError(f"`{table.source}` lacks the column `{min(missing)}`", Reason.OUTPUT_INVALID)
        if (request.run, request.attempt) in self.given_up:
            raise PlatformError("the attempt was given up", Reason.PUBLISH_FAILED)
        if request.run in self.published:
            return
        self.published[request.run] = request.attempt
        for table in request.tables:
            there = self.tables.setdefault(table.destination, FakeTable())
            there.rows = table.rows + (there.rows if table.incremental else 0)
            there.loads += 1
            there.timestamp += 1_000_000
        self.written(LOADED)

    def _respond(self) -> None:
        if self.loses_answers and self._silent:
            raise UnknownOutcomeError("the loader did not answer", Reason.LOADER_UNAVAILABLE)
        if self.is_away():
            raise TransientError("the catalog does not answer", Reason.LOADER_UNAVAILABLE)

    async def fence(self, request: FenceRequest, _storage: str) -> FenceAnswer:
        self.fences.append(request)
        self._respond()
        if self.fence_fails is not None:
            raise self.fence_fails
        if request.run not in self.published:
            self.given_up.add((request.run, request.attempt))
        return FenceAnswer(request.run in self.published)

    async def plan(self, request: PlanRequest, _storage: str) -> PlanAnswer:
        self._respond()
        missing = tuple(table for table in request.tables if table not in self.tables)
        return PlanAnswer(tuple(self._scan(table) for table in request.tables if table in self.tables), missing)

    def _scan(self, name: str) -> TableScan:
        table = self.tables[name]
        return TableScan(
            table=name,
            snapshot=str(table.loads),
            columns=(ScanColumn("id", 1, "string"), ScanColumn("name", 2, "string")),
            timestamp_id=3,
            files=(ScanFile(f"s3://bucket/lake/{name}/1.parquet", 100, table.rows),),
            deletes=(),
            created="2026-01-01T00:00:00+00:00",
            last_change="2026-01-01T00:00:00+00:00",
            timestamp=table.timestamp,
            uuid=name,
            location=f"s3://bucket/lake/{name}",
            rows=table.rows,
        )

    async def check(self, _request: object, _storage: str) -> CheckAnswer:
        self.times_checked += 1
        if self.check_fails is not None:
            raise self.check_fails
        return CheckAnswer(tuple(self.checks))
