"""The agents as the processes that they are, against three real stores: MinIO, SeaweedFS, and versitygw behind TLS.

Nothing is mocked. The operator's part (objects, plans, grants) is played by `Place`, which signs as the operator does.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.exchange import (
    GRANT_FILE,
    STAGE_OUT_RESULT,
    GrantIn,
    GrantOut,
    OutputTable,
    PostPolicy,
    SliceRead,
    StageInPlan,
    StageOutPlan,
    StageOutResult,
    TableRead,
    from_json,
    to_json,
)
from componentrun.storage.connection import Store, open_store, quoted_etag
from componentrun.storage.grants import Signer
from componentrun.storage.settings import StoreSettings
from e2e.cluster import lake as local_lake
from e2e.cluster import store as local_store
from tests.integration.storage.second_store import second_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ROOT = Path(__file__).parents[3]
HOUR = timedelta(hours=1)


@pytest.fixture(scope="session", params=["minio", "seaweedfs", "versitygw"])
def reached(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreSettings]:
    """How to reach a store that runs."""
    if request.param != "versitygw":
        found = local_store.up() if request.param == "minio" else local_lake.up()
        yield StoreSettings(
            bucket=found.bucket,
            endpoint=found.endpoint,
            region=found.region,
            access_key=found.access_key,
            secret_key=found.secret_key,
        )
    else:
        with second_store(tmp_path_factory.mktemp("versitygw")) as settings:
            yield settings


@dataclass
class Ended:
    """An agent that has ended."""

    code: int
    term: dict[str, Any]
    """The termination message."""
    lines: list[dict[str, Any]]
    """What it said on stdout."""
    text: str
    """Everything it said, on stdout, stderr and as termination message."""


@dataclass
class Place:
    """One attempt of one run: a data folder, and a prefix of the store."""

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

    async def slice(self, name: str, content: bytes) -> SliceRead:
        """Store an object and let it be read."""
        key = f"{self.settings.prefix}/input/{name}"
        etag = await self.store.put(key, content)
        return SliceRead(self.signer.sign_get(key, HOUR), len(content), quoted_etag(etag))

    async def url(self, name: str, document: Any) -> str:
        key = f"{self.settings.prefix}/runs/{name}.json"
        await self.store.put(key, to_json(document).encode())
        return self.signer.sign_get(key, HOUR)

    async def grant_in(
        self, tables: tuple[TableRead, ...], secrets: dict[str, str] | None = None, **more: Any
    ) -> GrantIn:
        plan = StageInPlan("ns/run", tables, **{"config": {"parameters": {}}, **more})
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
        """Write as the component would."""
        target = self.data / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    async def result(self) -> StageOutResult:
        return from_json(StageOutResult, (await self.store.get(self.prefix + STAGE_OUT_RESULT)).data)

    async def content(self, table: str) -> bytes:
        """All slices of a table that the result names, one after the other."""
        found = next(item for item in (await self.result()).tables if item.destination == table)
        return b"".join([(await self.store.get(part.key)).data for part in found.slices])


@pytest.fixture
async def place(reached: StoreSettings, tmp_path: Path) -> AsyncIterator[Place]:
    settings = StoreSettings(
        bucket=reached.bucket,
        endpoint=reached.endpoint,
        prefix=f"tests/{uuid.uuid4()}",
        region=reached.region,
        access_key=reached.access_key,
        secret_key=reached.secret_key,
        ca_bundle=reached.ca_bundle,
    )
    store = open_store(settings)
    yield Place(store, Signer(settings), settings, tmp_path)
    with contextlib.suppress(FileNotFoundError):
        await store.delete([info.key async for info in store.objects(settings.prefix + "/")])
