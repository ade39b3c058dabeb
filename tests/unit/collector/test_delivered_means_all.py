"""Whatever happens between a container and the store, a run is said to be delivered when every line is stored once.

A model of a kubelet, an API server that is behind it, and a store, in virtual time: lines come late, streams end, break
or fall silent for good, segments take long to be written or their answers are lost, and what is said of the pod comes
any time behind the run's end.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from componentrun.api import names
from componentrun.collector.events import merger, writer
from componentrun.collector.events.budget import MemoryBudget
from componentrun.collector.events.writer import SupersededError
from componentrun.collector.metrics import Metrics
from componentrun.collector.readers.api.lines import SECOND, stamp_of
from componentrun.collector.runs.facts import pod_facts
from componentrun.collector.runs.state import RunState
from componentrun.collector.runs.worker import Services, Worker
from componentrun.collector.settings import Settings
from componentrun.errors import TransientError
from componentrun.process.kubernetes.errors import UnavailableError
from componentrun.process.kubernetes.resources import PODS
from componentrun.storage.events.events import About
from componentrun.storage.events.segments import RunObjects, SegmentTakenError
from tests.unit.collector.fakekube import FakeKube
from tests.unit.collector.runs import a_run, container, ended_run, raw_pod
from tests.unit.collector.virtualtime import run_in_virtual_time
from tests.unit.collector.world import ATTEMPT, FakeStores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from componentrun.storage.events.events import EventRun

BEGIN = 1_795_506_393
LONGEST = 3_600
"""Seconds within which every run must be delivered."""


class Step(NamedTuple):
    """What happens so many seconds behind the step before."""

    after: float
    what: str
    amount: int = 0


class Log:
    """The log of one container on its node, and the streams that are open."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str]] = []
        self.ended = False
        self.latency = 0.0
        self.streams: list[Stream] = []

    def print(self, count: int, now: float) -> None:
        for _ in range(count):
            at = max(now, self.lines[-1][0] + 1e-5) if self.lines else now
            self.lines.append((at, f"line {len(self.lines)}"))
        self.tell()

    def tell(self, fate: str = "") -> None:
        for stream in self.streams:
            stream.fate = stream.fate or fate
            stream.news.set()

    def text(self, begin: int, since: int = 0) -> bytes:
        return b"".join(
            f"{stamp_of(int((BEGIN + at) * SECOND))} {text}\n".encode()
            for at, text in self.lines[begin:]
            if int(BEGIN + at) >= since
        )


class Stream:
    """One answer of the kubelet."""

    def __init__(self, log: Log, since: int, *, follow: bool) -> None:
        self._log, self._since, self._follow = log, since, follow
        self.fate = ""
        self.news = asyncio.Event()
        self.content = self
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self.news.set()

    async def iter_any(self) -> AsyncIterator[bytes]:
        sent = 0
        while True:
            self.news.clear()
            if self._closed or self.fate == "cut":
                raise UnavailableError("cut off")
            if self.fate == "end of answer":
                return
            data, ended, sent = self._log.text(sent, self._since), self._log.ended, len(self._log.lines)
            if data and self.fate != "silent":
                await asyncio.sleep(self._log.latency)
                if self._closed:
                    raise UnavailableError("closed")
                yield data
            elif (not self._follow or ended) and self.fate != "silent":
                return
            else:
                await self.news.wait()


class ModelKube(FakeKube):
    """Logs come from the model; the pod is what the API server has of it."""

    def __init__(self, logs: dict[str, Log]) -> None:
        super().__init__()
        self.logs = logs
        self.refuses = 0

    @asynccontextmanager
    async def log(
        self, _namespace: str, _pod: str, name: str, *, since: str | None, follow: bool, tail: int | None = None
    ) -> AsyncIterator[Any]:
        log = self.logs[name]
        await asyncio.sleep(log.latency / 2)
        begin = 0 if since is None else _seconds(since)
        if tail is not None:
            one = Log()
            one.lines = log.lines[-tail:]
            yield Stream(one, 0, follow=False)
            return
        stream = Stream(log, begin, follow=follow)
        log.streams.append(stream)
        try:
            yield stream
        finally:
            log.streams.remove(stream)

    async def get(self, resource: Any, namespace: str, name: str) -> Any:
        if resource is PODS and self.refuses:
            self.refuses -= 1
            raise UnavailableError("no answer")
        return await super().get(resource, namespace, name)


def _seconds(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp())


@dataclass
class Kept:
    """What the store holds."""

    next_seq: int = 1
    checkpoint: dict[str, Any] = field(default_factory=dict)
    about: About = field(default_factory=About)


@dataclass
class ModelStore:
    """Segments in memory; slow, or away, or so that the answer to a write is lost."""

    kept: Kept = field(default_factory=Kept)
    events: list[dict[str, Any]] = field(default_factory=list)
    delay: float = 0.0
    fates: list[str] = field(default_factory=list)

    async def read_last(self, _store: Any, _uid: str) -> tuple[Kept | None, RunObjects]:
        return self.kept if self.events else None, RunObjects((), (), ())

    async def list_events(self, _store: Any, _uid: str, _after: int) -> RunObjects:
        return RunObjects((), (), ())

    async def append_lines(
        self, _store: Any, _run: EventRun, first: int, lines: tuple[int, bytes], checkpoint: Any, about: About
    ) -> bytes:
        await asyncio.sleep(self.delay)
        fate = self.fates.pop() if self.fates else ""
        if fate == "away":
            raise TransientError("the store is away")
        if first != self.kept.next_seq:
            raise SegmentTakenError("taken")
        self.events += [json.loads(line) for line in lines[1].splitlines()]
        self.kept = Kept(first + lines[0], json.loads(json.dumps(checkpoint)), about)
        if fate == "answer lost":
            raise TransientError("the answer was lost")
        return lines[1]

    async def merge_segments(self, *_: Any) -> AsyncIterator[Any]:
        """There are no objects to merge."""
        return
        yield

    async def nothing(self, *_: Any) -> None:
        await asyncio.sleep(0)


class Model:
    """Everything together."""

    def __init__(self) -> None:
        self.logs = {names.COMPONENT: Log(), names.STAGE_OUT: Log()}
        self.kube, self.store = ModelKube(self.logs), ModelStore()
        self.kube.add_secret("clean-1", [])
        self.state = RunState(a_run(phase="Running", attempts=[ATTEMPT]))
        self.over = False
        self._tell_pod()

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def _raw_pod(self) -> dict[str, Any]:
        """The sidecar goes on, as it does where the kubelet does not end it."""
        ended = self.logs[names.COMPONENT].ended
        ran = container(names.COMPONENT, "terminated", exitCode=0)
        raw = raw_pod(ran if ended else container(names.COMPONENT, "running"))
        raw["status"]["initContainerStatuses"] = [container(names.STAGE_OUT, "running")]
        return raw

    def _tell_pod(self) -> None:
        """The watch has caught up."""
        self.state.pod_changed(pod_facts(self._raw_pod()))

    def take(self, step: Step) -> None:
        both = self.logs.values()
        actions: dict[str, Callable[[], object]] = {
            "print": partial(self._print, names.COMPONENT, step.amount),
            "sidecar prints": partial(self._print, names.STAGE_OUT, step.amount % 5),
            "over": self._end,
            "tell": self._tell_pod,
            "latency": lambda: [setattr(log, "latency", step.amount / 80) for log in both],
            "slow store": lambda: setattr(self.store, "delay", step.amount / 20),
            "refuse": lambda: setattr(self.kube, "refuses", self.kube.refuses + 1),
            **{fate: lambda: [log.tell(step.what) for log in both] for fate in ("cut", "silent", "end of answer")},
            **{fate: lambda: self.store.fates.append(step.what) for fate in ("away", "answer lost")},
        }
        actions[step.what]()

    def _print(self, name: str, count: int) -> None:
        if not self.over:
            self.logs[name].print(count, self.now)

    def _end(self) -> None:
        """An operator ends a run when it has seen the component's end."""
        self.over = self.logs[names.COMPONENT].ended = True
        self.kube.server.put("pods", self._raw_pod())
        self.logs[names.COMPONENT].tell()
        self.state.run_changed(ended_run(attempts=[ATTEMPT]))

    async def run(self, steps: list[Step]) -> None:
        kube: Any = self.kube
        stores: Any = FakeStores()
        chosen = Settings(collector_segment_seconds=1.0)
        services = Services(kube, stores, Metrics(), chosen, memory=MemoryBudget(total=64 * 1024))
        working = asyncio.create_task(self._work(services))
        for step in steps:
            await asyncio.sleep(step.after)
            self.take(step)
        async with asyncio.timeout(LONGEST):
            await working

    async def _work(self, services: Services) -> None:
        while True:
            try:
                await Worker(self.state, services).work()
            except SupersededError:
                await asyncio.sleep(1)
            else:
                return


STEP = st.builds(
    Step,
    st.sampled_from([0.0, 0.0, 0.01, 0.5, 2.0, 4.0, 30.0]),
    st.sampled_from(
        ["print"] * 6
        + ["sidecar prints", "cut", "silent", "end of answer", "latency", "slow store", "away", "answer lost", "refuse"]
    ),
    st.integers(0, 400),
)
END = st.tuples(st.sampled_from([0.0, 0.1, 5.0]), st.lists(STEP, max_size=6), st.sampled_from([0.0, 1.0, 20.0, 120.0]))


def replaced_store(monkeypatch: pytest.MonkeyPatch, store: ModelStore) -> None:
    monkeypatch.setattr(writer, "read_last", store.read_last)
    monkeypatch.setattr(writer, "list_events", store.list_events)
    monkeypatch.setattr(merger, "merge_segments", store.merge_segments)
    monkeypatch.setattr(writer, "append_lines", store.append_lines)
    monkeypatch.setattr(writer, "enter_open", store.nothing)
    monkeypatch.setattr(writer, "enter_ended", store.nothing)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEP, max_size=20), end=END)
@example(steps=[Step(0, "slow store", 200), Step(0, "print", 6_000)], end=(0.0, [], 120.0))
@example(steps=[Step(0, "silent"), Step(1, "print", 3), Step(0, "sidecar prints", 3)], end=(5.0, [], 20.0))
@example(steps=[Step(0, "latency", 50), Step(0, "sidecar prints", 2)], end=(0.0, [], 0.0))
def test_delivered_means_that_every_line_is_stored_once(
    steps: list[Step], end: tuple[float, list[Step], float]
) -> None:
    over_after, behind, told_after = end
    script = [*steps, Step(over_after, "over"), *behind, Step(told_after, "tell")]

    async def scene() -> None:
        model = Model()
        with pytest.MonkeyPatch.context() as patches:
            replaced_store(patches, model.store)
            await model.run(script)
        (report,) = [body["status"]["events"] for body in model.kube.patched if "delivered" in body["status"]["events"]]
        assert (report["delivered"], report["message"]) == (True, "")
        for name, log in model.logs.items():
            stored = [event["message"] for event in model.store.events if event["source"] == name]
            assert stored == [text for _, text in log.lines], name
        assert [event["seq"] for event in model.store.events] == list(range(1, len(model.store.events) + 1))

    run_in_virtual_time(scene())
