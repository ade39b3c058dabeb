"""A fake API server that serves more runs, pods and logs to a collector than one node could hold.

`python -m benchmarks.collector.fake_api_server` reads a `Plan` as JSON from standard input and prints its own address
to standard output. It speaks TLS and sends HTTP chunks like an API server, which flushes a followed log every few
lines. Each connection has its own thread.
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from componentrun.api import names
from componentrun.api.common import API_VERSION
from componentrun.wire.grants import REDACT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NAMESPACE", "Plan"]

NAMESPACE: Final = "bench"
_SECRETS: Final = ("correct-horse-battery-staple", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
_PAST: Final = "2026-01-01T00:00:00Z"
_WAVE_SECONDS: Final = 0.1
"""Interval in which lines of a log with a rate are sent."""


@dataclass(frozen=True)
class Plan:
    """What the server simulates."""

    certificate: str
    key: str
    """Paths of PEM files."""
    storage: dict[str, Any]
    """Spec of the Storage."""
    keys: dict[str, str]
    """Keys in the Storage's Secret."""
    runs: int
    lines: int
    """Lines of each run."""
    size: int = 100
    """Bytes of a line without its timestamp and newline."""
    lines_per_chunk: int = 4
    rate: float = 0
    """Lines a second of each run, with timestamps of their sending; 0: all at once, with prepared timestamps."""
    structured: bool = False
    """Whether lines are JSON objects."""
    delivered: set[str] = field(default_factory=set, compare=False)

    def to_json(self) -> str:
        """The plan as JSON, for standard input."""
        return json.dumps({key: value for key, value in asdict(self).items() if key != "delivered"})


class _World:
    """Runs and pods, whose changes are sent to watches."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ended: set[int] = set()
        self.changed = threading.Condition()
        self.begun = False
        self.frames = b"" if plan.rate else b"".join(_frames(plan))

    def end(self, number: int) -> None:
        with self.changed:
            self.ended.add(number)
            self.changed.notify_all()

    def begin(self) -> None:
        """Record a request for a log, and report the first one to the benchmark."""
        with self.changed:
            if not self.begun:
                print("begun", flush=True)
            self.begun = True

    def news(self, told: set[int]) -> set[int]:
        """Wait for ended runs that are not in `told`, and return them."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.ended) > len(told))
            return self.ended - told

    def pod(self, number: int) -> dict[str, Any]:
        ended = number in self.ended
        state = {"terminated": {"exitCode": 0, "startedAt": _now()}} if ended else {"running": {"startedAt": _now()}}
        labels = {names.RUN_LABEL: f"run{number}", names.RUN_UID_LABEL: f"uid-{number}", names.ATTEMPT_LABEL: "1"}
        status = {"name": names.COMPONENT, "containerID": "containerd://1", "restartCount": 0, "state": state}
        return {
            "metadata": _metadata(f"run{number}-1", f"pod-{number}", labels),
            "spec": {},
            "status": {"phase": "Succeeded" if ended else "Running", "containerStatuses": [status]},
        }

    def run(self, number: int) -> dict[str, Any]:
        attempt = {"number": 1, "pod": f"run{number}-1", "podUID": f"pod-{number}", "startTime": _PAST}
        phases = [{"phase": "Queued", "startTime": _PAST}, {"phase": "Running", "startTime": _PAST}]
        status: dict[str, Any] = {"phase": "Running", "phases": phases, "attempts": [attempt], "startTime": _PAST}
        if number in self.ended:
            status |= {"phase": "Succeeded", "result": "Success", "reason": "Succeeded", "completionTime": _now()}
        spec = {"component": "bench", "configuration": {"id": "c-1"}}
        return {"metadata": _metadata(f"run{number}", f"uid-{number}", {}), "spec": spec, "status": status}


def _metadata(name: str, uid: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"namespace": NAMESPACE, "name": name, "uid": uid, "resourceVersion": "1", "labels": labels}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _line(plan: Plan, number: int, nanoseconds: int) -> bytes:
    seconds, fraction = divmod(nanoseconds, 10**9)
    stamp = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09}Z"
    if plan.structured:
        text = f'{{"level":"info","msg":"row {number} done","table":"in.c-main.orders","rows":{number},"ok":true}}'
    else:
        text = f"line {number} of what a component says while it works on a table: 12 columns, no error, next"
    return f"{stamp} {text.ljust(plan.size)[: max(plan.size, len(text) if plan.structured else 0)]}\n".encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _frames(plan: Plan) -> Iterator[bytes]:
    begun = time.time_ns()
    for at in range(0, plan.lines, plan.lines_per_chunk):
        until = min(at + plan.lines_per_chunk, plan.lines)
        yield _chunk(b"".join(_line(plan, number, begun + number * 10_000) for number in range(at, until)))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: _World

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query, parts = parse_qs(url.query), url.path.strip("/").split("/")
        if parts[-1] == "log":
            self._log(int(parts[-2].removeprefix("run").removesuffix("-1")), first="sinceTime" not in query)
        elif "watch" in query:
            self._watch(parts[-1])
        elif parts[-2] == "secrets":
            self._answer(self._secret(parts[-1]))
        else:
            self._answer({"metadata": {"resourceVersion": "1"}, "items": self._items(parts[-1])})

    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        name = self.path.split("/")[-2]
        with self.world.changed:
            self.world.plan.delivered.add(name)
            if len(self.world.plan.delivered) == self.world.plan.runs:
                print("delivered", flush=True)
        self._answer({})

    def _items(self, kind: str) -> list[dict[str, Any]]:
        numbers = range(self.world.plan.runs)
        if kind == "pods":
            return [self.world.pod(number) for number in numbers]
        if kind == "componentruns":
            return [self.world.run(number) for number in numbers]
        if kind == "storages":
            spec = {**self.world.plan.storage, "default": True}
            return [
                {"apiVersion": API_VERSION, "kind": "Storage", "metadata": _metadata("main", "s", {}), "spec": spec}
            ]
        return []

    def _secret(self, name: str) -> dict[str, Any]:
        values = self.world.plan.keys if name == "keys" else {REDACT_KEY: json.dumps(_SECRETS)}
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        return {"metadata": _metadata(name, name, {}), "data": data}

    def _watch(self, kind: str) -> None:
        self._begin()
        world, told = self.world, set[int]()
        make = world.pod if kind == "pods" else world.run
        while True:
            new = world.news(told)
            for number in new if kind in {"pods", "componentruns"} else ():
                event = {"type": "MODIFIED", "object": make(number)}
                self.wfile.write(_chunk(json.dumps(event).encode() + b"\n"))
            told |= new

    def _log(self, number: int, *, first: bool) -> None:
        self.world.begin()
        self._begin()
        plan = self.world.plan
        if first and plan.rate:
            self._print(plan)
        elif first:
            self._send_all()
        self.wfile.write(b"0\r\n\r\n")
        if first:
            self.world.end(number)

    def _send_all(self) -> None:
        """Send each chunk separately, like a server that flushes."""
        frames, at = memoryview(self.world.frames), 0
        while at < len(frames):
            head = bytes(frames[at : at + 10]).partition(b"\r\n")[0]
            end = at + len(head) + int(head, 16) + 4
            self.wfile.write(frames[at:end])
            at = end

    def _print(self, plan: Plan) -> None:
        begun, sent = time.monotonic(), 0
        while sent < plan.lines:
            time.sleep(_WAVE_SECONDS)
            due = min(int((time.monotonic() - begun) * plan.rate), plan.lines)
            for number in range(sent, due):
                self.wfile.write(_chunk(_line(plan, number, time.time_ns())))
            sent = due

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _answer(self, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 4096

    def __init__(self, world: _World) -> None:
        handler = type("Handler", (_Handler,), {"world": world})
        super().__init__(("127.0.0.1", 0), handler)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(world.plan.certificate, world.plan.key)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Do the slow TLS handshake outside the accepting thread."""
        try:
            connection = self._context.wrap_socket(request, server_side=True)
        except OSError:  # the collector timed out and will connect again
            self.shutdown_request(request)
            return
        super().process_request_thread(connection, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections of a collector that has ended."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main() -> None:
    """Serve until standard input ends."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    server = _Server(_World(plan))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"https://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
