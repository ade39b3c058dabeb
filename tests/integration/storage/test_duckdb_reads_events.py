"""What docs/events.md says of DuckDB is done: its statements, with keys that may do what its policy says, on MinIO."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from minio.credentials import AssumeRoleProvider

from componentrun.errors import ComponentRunError
from componentrun.storage.events.events import About, Event
from componentrun.storage.events.runs import EventRun, enter_ended, enter_open
from componentrun.storage.events.segments import append_segment
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.settings import StoreSettings
from dev.cluster import paths
from dev.cluster.stores import minio as local_store

if TYPE_CHECKING:
    from componentrun.storage.store.connection import Store

pytestmark = pytest.mark.store

HERE = Path(__file__).parent
PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
START = datetime(2026, 11, 24, 8, tzinfo=UTC)
ODD = {"nested": {"a": [1, None, "é"]}, "quote": '"\\', "line": "\u2028"}


@pytest.fixture(scope="session")
def reached() -> StoreSettings:
    """MinIO alone: it gives keys with a policy."""
    minio = local_store.up()
    return StoreSettings(
        bucket=minio.bucket,
        endpoint=minio.endpoint,
        region=minio.region,
        access_key=minio.access_key,
        secret_key=minio.secret_key,
    )


@pytest.fixture(scope="module")
def duckdb_python() -> Path:
    """An interpreter with DuckDB and its extension for S3; made once and kept."""
    folder = paths.home() / "duckdb-1.5.5"
    python = folder / "bin" / "python"
    with paths.lock("duckdb"):
        if not (folder / "done").is_file():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            wanted = HERE / "duckdb-requirements.txt"
            subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(wanted)],
                check=True,
            )
            (folder / "done").touch()
    return python


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def filled_in(text: str, settings: StoreSettings) -> str:
    """The page's examples with the store of the test."""
    for example, real in {
        "'KEY_ID'": f"'{settings.access_key}'",
        "'SECRET_KEY'": f"'{settings.secret_key}', SESSION_TOKEN '{settings.session_token}'",
        "'us-east-1'": f"'{settings.region}'",
        "'store.example.com:9000'": f"'{settings.base_url.partition('://')[2]}'",
        "USE_SSL true": f"USE_SSL {str(settings.secure).lower()}",
        "BUCKET": settings.bucket,
        "PREFIX": settings.prefix,
    }.items():
        text = text.replace(example, real)
    return text


def read_only(settings: StoreSettings) -> StoreSettings:
    """Keys that may do what the page's policy says, and nothing else."""
    (policy,) = (block for block in blocks("json") if '"Statement"' in block)
    provider = AssumeRoleProvider(
        sts_endpoint=settings.base_url,
        access_key=settings.access_key or "",
        secret_key=settings.secret_key or "",
        duration_seconds=3600,
        policy=json.dumps(json.loads(filled_in(policy, settings))),
    )
    keys = provider.retrieve()
    return replace(settings, access_key=keys.access_key, secret_key=keys.secret_key, session_token=keys.session_token)


def said(run: str, seq: int, component: str, kind: str, **params: Any) -> Event:
    time = (START + timedelta(seconds=seq)).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    return Event(f"{run}-{seq}", seq, time, run, component, "1", kind, "m", params, None, "component", 1)  # type: ignore[arg-type]


async def write(store: Store, run: str, component: str, kinds: list[list[str]], *, ended: bool = True) -> None:
    about, seq, event_run = About(), 1, EventRun(run, component, "1")
    await enter_open(store, event_run)
    for segment in kinds:
        events = [said(run, number, component, kind, **ODD) for number, kind in enumerate(segment, seq)]
        about = about.following(f"name-{run}", events, START + timedelta(hours=1))
        await append_segment(store, run, seq, events, {"format": 1, "containers": {}}, about)
        seq += len(segment)
    if ended:
        await enter_ended(store, event_run, about)


async def test_the_queries_of_the_page(duckdb_python: Path, settings: StoreSettings, tmp_path: Path) -> None:
    store = open_store(settings)
    await write(store, "r1", "a", [["info", "warn"], ["error"]])
    await write(store, "r2", "a", [["info"]])
    await write(store, "r3", "b", [["info", "info"]], ended=False)
    reader = read_only(settings)

    def ask(*statements: str) -> dict[str, Any]:
        done = subprocess.run(
            [str(duckdb_python), str(HERE / "duckdb_client.py")],
            input=json.dumps({"folder": str(tmp_path), "statements": [filled_in(text, reader) for text in statements]}),
            capture_output=True,
            text=True,
            check=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    setup, view, counted, runs = blocks("sql")
    begin = (*setup.split(";\n")[:3], view)
    answer = ask(*begin, counted)
    times = [f"2026-11-24 08:00:0{second}.123456+00:00" for second in (1, 2, 3)]
    assert answer == {
        "rows": [
            ["a", "error", 1, 1, times[2]],
            ["a", "info", 2, 2, times[0]],
            ["a", "warn", 1, 1, times[1]],
            ["b", "info", 2, 1, times[1]],
        ]
    }
    found = ask(
        *setup.split(";\n")[:3], view, "SELECT seq, params->'nested'->'a'->>2, attempt FROM events WHERE run = 'r1'"
    )
    assert found["rows"] == [[1, "é", 1], [2, "é", 1], [3, "é", 1]]
    ended = ask(*begin, runs)
    assert [(row[0], row[1], row[2], row[5]) for row in ended["rows"]] == [("r1", "a", "1", 1), ("r2", "a", "1", 0)]
    refused = ask(*begin, "COPY (SELECT 1) TO 's3://BUCKET/PREFIX/events/r1/x.csv'")
    assert "403" in refused["error"] or "AccessDenied" in refused["error"]
    others = ask(*begin, "SELECT * FROM read_text('s3://BUCKET/PREFIX/runs/*')")
    assert "403" in others["error"] or "AccessDenied" in others["error"]
    with pytest.raises(ComponentRunError):
        await open_store(reader).delete([store.layout.segment("r1", 1)])
    assert await store.find(store.layout.segment("r1", 1)) is not None
