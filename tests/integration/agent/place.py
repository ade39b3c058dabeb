"""One attempt of one run, with the agents as real processes, against a real store.

Nothing is mocked. `Place` takes the operator's part (objects, plans, grants), and signs like the operator.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from componentrun.storage.access.grants import Signer
from componentrun.storage.store.connection import Store, open_store, quoted_etag
from componentrun.wire.agents import (
    STAGE_OUT_RESULT,
    FileRead,
    ObjectRead,
    OutputTable,
    StageInPlan,
    StageOutPlan,
    StageOutResult,
    TableRead,
    from_json,
    to_json,
)
from componentrun.wire.grants import GRANT_FILE, GrantIn, GrantOut, PostPolicy
from tests.unit.sql.icefiles import Files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from componentrun.storage.store.settings import StoreSettings
    from componentrun.wire.parquet import ParquetFile, ParquetTable

__all__ = ["HOUR", "Ended", "Place", "opened"]

ROOT = Path(__file__).parents[3]
HOUR = timedelta(hours=1)


@dataclass
class Ended:
    """An agent that has ended."""

    code: int
    term: dict[str, Any]
    """The termination message."""
    lines: list[dict[str, Any]]
    """Parsed JSON lines of its stdout."""
    text: str
    """All of its output: stdout, stderr and termination message."""


@dataclass
class Place:
    """One attempt of one run: a data folder and a prefix in the store."""

    store: Store
    signer: Signer
    settings: StoreSettings
    folder: Path
    attempt: str = field(default_factory=lambda: f"{uuid.uuid4()}-1")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def prefix(self) -> str:
        return f"{self.settings.prefix}/data/{self.attempt}/"

    async def object(self, name: str, content: bytes) -> ObjectRead:
        """Store an object, and return it with a signed URL."""
        key = f"{self.settings.prefix}/input/{name}"
        etag = await self.store.put(key, content)
        return ObjectRead(self.signer.sign_get(key, HOUR), len(content), quoted_etag(etag))

    async def file(self, name: str, content: bytes) -> FileRead:
        """Store an input file with one part."""
        return FileRead(name, f"in/files/{name}", (await self.object(name, content),), {"name": name})

    async def table(self, name: str, columns: Sequence[str], *loads: Sequence[Sequence[str]], **more: Any) -> TableRead:
        """Create a table with one file of rows for each load. `more` are fields of `TableRead`."""
        folder = self.folder / "parquet" / name
        folder.mkdir(parents=True)
        files = Files(folder)
        for rows in loads:
            files.add([(column, number, "VARCHAR") for number, column in enumerate(columns, 1)], rows)
        parquet = files.table(*((column, number, "string") for number, column in enumerate(columns, 1)))
        path, source = f"in/tables/{name}.csv", f"in.c-main.{name}"
        values = {"path": path, "columns": tuple(columns), "manifest": {"id": source}, **more}
        return TableRead(source, parquet=await self.stored(parquet, name), **values)

    async def stored(self, table: ParquetTable, name: str) -> ParquetTable:
        """Upload the table's local files, and return the table with signed URLs."""

        async def of(files: Sequence[ParquetFile]) -> tuple[ParquetFile, ...]:
            found = []
            for file in files:
                content = Path(file.url).read_bytes()  # noqa: ASYNC240 - no concurrent tasks
                read = await self.object(f"{name}-{file.path.rpartition('/')[2]}", content)
                found.append(dataclasses.replace(file, url=read.url))
            return tuple(found)

        return dataclasses.replace(table, files=await of(table.files), deletes=await of(table.deletes))

    async def url(self, name: str, document: Any) -> str:
        key = f"{self.settings.prefix}/runs/{name}.json"
        await self.store.put(key, to_json(document).encode())
        return self.signer.sign_get(key, HOUR)

    async def grant_in(
        self, tables: Sequence[TableRead] = (), secrets: dict[str, str] | None = None, **more: Any
    ) -> GrantIn:
        plan = StageInPlan("ns/run", tuple(tables), **{"config": {"parameters": {}}, **more})
        return GrantIn(await self.url("in", plan), secrets or {}, self.settings.ca_bundle)

    async def grant_out(
        self, *tables: OutputTable, bucket: str | None = None, max_bytes: int | None = None, **more: Any
    ) -> GrantOut:
        plan = StageOutPlan("ns/run", tables, bucket, max_bytes, **more)
        return GrantOut(await self.url("out", plan), self.policy(), self.settings.ca_bundle)

    def policy(self, max_bytes: int = 2**30) -> PostPolicy:
        return self.signer.post_policy(self.prefix, max_bytes, HOUR)

    def run(self, command: str, grant: GrantIn | GrantOut) -> Ended:
        mount = self.folder / "grant"
        mount.mkdir(exist_ok=True)
        (mount / GRANT_FILE).write_text(to_json(grant))
        self.data.mkdir(exist_ok=True)
        log = self.folder / "termination-log"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "componentrun.agent", command),
                *("--data", str(self.data), "--grant", str(mount), "--termination-log", str(log)),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
        )
        term = log.read_text()
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return Ended(done.returncode, json.loads(term), lines, done.stdout + done.stderr + term)

    def write(self, path: str, content: bytes | str) -> Path:
        """Write a file as the component would."""
        target = self.data / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    async def result(self) -> StageOutResult:
        return from_json(StageOutResult, (await self.store.get(self.prefix + STAGE_OUT_RESULT)).data)

    async def content(self, table: str) -> bytes:
        """Concatenated content of all slices of a table in the result."""
        found = next(item for item in (await self.result()).tables if item.destination == table)
        return b"".join([(await self.store.get(part.key)).data for part in found.slices])


@asynccontextmanager
async def opened(reached: StoreSettings, folder: Path) -> AsyncIterator[Place]:
    """A place with its own prefix, which is emptied when the block ends."""
    settings = dataclasses.replace(reached, prefix=f"tests/{uuid.uuid4()}")
    store = open_store(settings)
    yield Place(store, Signer(settings), settings, folder)
    with contextlib.suppress(FileNotFoundError):
        await store.delete([info.key async for info in store.objects(settings.prefix + "/")])
