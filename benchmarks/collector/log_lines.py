"""The collector's cost of a log line. The collector runs on one processor, and a fake API server on another.

`fake_api_server` sends the same data as the log API. Lines are stored in the real store. Every line is searched for
two secrets.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from benchmarks.collector.fake_api_server import NAMESPACE, Plan
from benchmarks.harness.interleave import figures, interleave
from benchmarks.harness.testbed import sweep
from benchmarks.harness.usage import cpu_seconds, peak_mib
from componentrun.storage.events.segments import read_segment
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.errors import MissingError
from componentrun.storage.store.settings import StoreSettings
from dev.cluster.host import ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness.interleave import Measure
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure
    from componentrun.storage.store.connection import Store
    from dev.cluster.connection import Connection

__all__ = ["lag", "lines", "memory"]

_RUNS: Final = 20
_LINES: Final = 50_000
_MILLION: Final = 10**6
_SHAPES: Final[dict[str, dict[str, Any]]] = {
    "collector.lines.single": {"lines_per_chunk": 1},
    "collector.lines.chunk": {"lines_per_chunk": 4},
    "collector.lines.big": {"lines_per_chunk": 500},
    "collector.lines.json": {"lines_per_chunk": 4, "structured": True},
}
_LAG: Final = {"runs": 100, "lines": 200, "rate": 10}
_LOOK_SECONDS: Final = 0.5
_STREAMS: Final = {"runs": 1_000, "lines": 20, "rate": 1}


@dataclass(frozen=True)
class _Cost:
    """Time that one collector needed to deliver all lines of the fake server."""

    wall: float
    """Seconds from its first request for a log until everything was delivered."""
    processor: float
    """CPU seconds in this time."""
    peak_mib: float


def lines(testbed: Testbed, repeats: int) -> list[Figure]:
    """CPU seconds for a million lines, and lines a second, for several forms of input.

    `single`: one line in a chunk; `chunk`: four, like the kubelet; `big`: 500; `json`: structured lines, four in a
    chunk.
    """
    values = interleave([_lines(testbed.connection, name, shape) for name, shape in _SHAPES.items()], repeats)
    costs = {name: found for name, found in values.items() if name.endswith(".cpu")}
    speeds = {name: found for name, found in values.items() if name not in costs}
    return [*figures(costs, "s"), *figures(speeds, "1/s")]


def lag(testbed: Testbed, repeats: int) -> list[Figure]:
    """Time from printing a line until its segment is in the store, with 100 printing runs."""
    return figures(interleave([lambda: _lag(testbed.connection)], repeats, warm_ups=0), "s")


def memory(testbed: Testbed, repeats: int) -> list[Figure]:
    """Peak memory of the collector with 1,000 streams that print a line a second each."""

    def measure() -> dict[str, float]:
        with _prefix(testbed.connection) as store:
            return {"collector.memory.streams": _collect(testbed.connection, store, _STREAMS).peak_mib}

    return figures(interleave([measure], repeats, warm_ups=0), "MiB")


def _lines(connection: Connection, name: str, shape: dict[str, Any]) -> Measure:
    def measure() -> dict[str, float]:
        with _prefix(connection) as store:
            spent = _collect(connection, store, {"runs": _RUNS, "lines": _LINES, **shape})
        total = _RUNS * _LINES
        return {f"{name}.cpu": spent.processor / total * _MILLION, f"{name}.rate": total / spent.wall}

    return measure


def _lag(connection: Connection) -> dict[str, float]:
    with _prefix(connection) as store, ThreadPoolExecutor(1) as pool:
        done = threading.Event()
        watching = pool.submit(lambda: asyncio.run(_lags(store, done)))
        try:
            _collect(connection, store, _LAG)
        finally:
            done.set()
        lags = sorted(watching.result())
    cuts = statistics.quantiles(lags, n=100)
    return {"collector.lag.p50": cuts[49], "collector.lag.p99": cuts[98]}


async def _lags(store: Store, done: threading.Event) -> list[float]:
    """Seconds from printing a line until its segment was written, of all segments that exist for half a second."""
    found: dict[str, list[float]] = {}
    while not done.is_set():
        new = [info async for info in store.objects(f"{store.settings.prefix}/events/") if info.key not in found]
        for info in new:
            if store.layout.first_seq_of(info.key) is None:
                continue
            try:
                segment = await read_segment(store, info.key)
            except MissingError:
                continue  # merged
            times = [datetime.fromisoformat(event.time) for event in segment.events if event.source == "component"]
            found[info.key] = [(info.modified - moment).total_seconds() for moment in times]
        await asyncio.sleep(_LOOK_SECONDS)
    return [lag for lags in found.values() for lag in lags]


def _collect(connection: Connection, store: Store, shape: dict[str, Any]) -> _Cost:
    """Start both processes, and wait until all events are delivered."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = Plan(*_certificate(folder), *_storage(connection, store.settings), **shape)
        with _fake_server(plan) as server, _collector(folder, server) as process:
            _await(server, process, "begun")
            begun, spent = time.monotonic(), cpu_seconds(process.pid)
            _await(server, process, "delivered")
            spent = cpu_seconds(process.pid) - spent
            return _Cost(time.monotonic() - begun, spent, peak_mib(process.pid))


def _storage(connection: Connection, settings: StoreSettings) -> tuple[dict[str, Any], dict[str, str]]:
    keys = {"accessKeyId": connection.store_access_key, "secretAccessKey": connection.store_secret_key}
    spec = {
        "endpoint": settings.endpoint, "bucket": settings.bucket, "prefix": settings.prefix,
        "region": settings.region, "credentials": {"secretName": "keys"},
    }  # fmt: skip
    return spec, keys


@contextmanager
def _prefix(connection: Connection) -> Iterator[Store]:
    """An empty prefix in the store, which is deleted afterwards."""
    prefix = f"benchmarks/collector-{uuid.uuid4().hex[:8]}"
    store = open_store(
        StoreSettings(
            bucket=connection.store_bucket,
            endpoint=connection.store_endpoint,
            prefix=prefix,
            region=connection.store_region,
            access_key=connection.store_access_key,
            secret_key=connection.store_secret_key,
        )
    )
    try:
        yield store
    finally:
        sweep(store, f"{prefix}/")


def _certificate(folder: Path) -> tuple[str, str]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", *options, *names, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return str(certificate), str(key)


class _FakeServer:
    """The server's process and URL."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = self.next_line()

    def next_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def _fake_server(plan: Plan) -> Iterator[_FakeServer]:
    command = [sys.executable, "-m", "benchmarks.collector.fake_api_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(plan.to_json() + "\n")
            process.stdin.flush()
            os.sched_setaffinity(process.pid, _processors()[1:] or _processors())
            yield _FakeServer(process)
        finally:
            process.kill()


@contextmanager
def _collector(folder: Path, server: _FakeServer) -> Iterator[subprocess.Popen[bytes]]:
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(_kubeconfig(server.url, folder / "certificate.pem"), encoding="utf-8")
    environment = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "COMPONENTRUN_NAMESPACES": NAMESPACE,
        "COMPONENTRUN_PORT": str(ports.free_port()),
        "NO_PROXY": "*",
        "no_proxy": "*",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "componentrun.collector"], env=environment, stderr=subprocess.DEVNULL
    ) as process:
        try:
            os.sched_setaffinity(process.pid, _processors()[:1])
            threading.Thread(target=_end_together, args=(process, server.process), daemon=True).start()
            yield process
        finally:
            process.kill()


def _end_together(collector: subprocess.Popen[bytes], server: subprocess.Popen[str]) -> None:
    """Fail if the collector ends early, instead of waiting for the server."""
    collector.wait()
    server.kill()


def _processors() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def _kubeconfig(url: str, authority: Path) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url, "certificate-authority": str(authority)}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    return yaml.safe_dump(document)


def _await(server: _FakeServer, process: subprocess.Popen[bytes], word: str) -> None:
    """Wait until the server prints this word: a log was requested, or all runs were reported."""
    if server.next_line() != word or process.poll() is not None:
        raise RuntimeError("the stand-in or the collector has ended before everything was delivered")
