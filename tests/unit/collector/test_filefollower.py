"""Following one log from the node's files, through a real log server: what is taken, and when it is over."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from componentrun.collector.metrics import Metrics
from componentrun.collector.readers.api.follower import View
from componentrun.collector.readers.api.lines import SECOND
from componentrun.collector.readers.node import follower as module
from componentrun.collector.readers.node.follower import FileFollower, Source
from componentrun.collector.readers.node.position import FilePosition
from componentrun.nodelogs import container, folders
from tests.unit.nodelogs.runtime import BEGIN
from tests.unit.nodelogs.serving import NODE, WHERE, serving, the_way

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from componentrun.collector.readers.api.position import Position
    from componentrun.collector.readers.line import Line
    from componentrun.collector.readers.node.servers import NodeLogs
    from tests.unit.nodelogs.runtime import Runtime
    from tests.unit.nodelogs.serving import Served

RUNS = View(ended=False, gone=False, never_ran=False, restarts=0, overdue=False)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_PAUSE", "_LONGEST_PAUSE"):
        monkeypatch.setattr(module, name, 0.01)
    monkeypatch.setattr(module, "_LAST_WAIT", 0.1)
    monkeypatch.setattr(container, "SETTLED", 0.05)
    for name in ("_LOOK_EVERY", "_GATHER"):
        monkeypatch.setattr(folders, name, 0.01)


@dataclass
class ListSink:
    """Keeps what it is given."""

    place: FilePosition = field(default_factory=FilePosition)
    lines: list[Line] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    room_at: int = 10**9
    waited: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def position(self) -> Position:
        raise NotImplementedError

    @property
    def texts(self) -> list[str]:
        return [line.text.decode() for line in self.lines]

    def take(self, lines: Sequence[Line]) -> bool:
        before = len(self.lines) // self.room_at
        self.lines += lines
        self.place.add(lines)
        self.came.set()
        return len(self.lines) // self.room_at == before

    def settle(self) -> None:
        pass

    async def room(self) -> None:
        self.waited += 1

    def lost(self, _key: str, message: str) -> None:
        self.problems.append(message)


@dataclass
class Scene:
    """One container, its log on the node, and what the watch says."""

    served: Served
    nodes: NodeLogs
    runtime: Runtime
    view: View = RUNS
    sink: ListSink = field(default_factory=ListSink)
    started: int = 0

    def __post_init__(self) -> None:
        self.follow()

    def follow(self) -> None:
        """A follower that begins where the sink's position is."""
        source = Source(self.nodes, NODE, WHERE, self.started)
        self.follower = FileFollower(source, lambda: self.view, self.sink, self.sink.place, Metrics())

    def set(self, **changes: bool) -> None:
        self.view = replace(self.view, **changes)
        self.follower.nudge()

    async def run(self) -> ListSink:
        async with asyncio.timeout(10):
            await self.follower.run()
        return self.sink

    async def until(self, check: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not check():  # noqa: ASYNC110 - of parts that tell nobody
                await asyncio.sleep(0.005)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with made(tmp_path) as scene:
        yield scene


@asynccontextmanager
async def made(tmp_path: Path) -> AsyncIterator[Scene]:
    async with serving(tmp_path / "pods") as served, the_way(served, tmp_path) as nodes:
        yield Scene(served, nodes, served.runtime())


async def test_an_ended_container_is_read_until_nothing_new_comes(scene: Scene) -> None:
    for text in (b"a", b"b"):
        scene.runtime.print(text)
    scene.set(ended=True)
    sink = await scene.run()
    assert (sink.texts, sink.problems) == (["a", "b"], [])


async def test_lines_come_while_the_container_runs_and_behind_its_end(scene: Scene) -> None:
    running = asyncio.create_task(scene.run())
    scene.runtime.print(b"a")
    await scene.until(lambda: scene.sink.texts == ["a"])
    await scene.until(lambda: scene.follower.open)
    scene.runtime.print(b"b", "stderr")
    scene.set(ended=True)
    sink = await running
    assert [(line.text, line.stream) for line in sink.lines] == [(b"a", "stdout"), (b"b", "stderr")]
    assert not sink.problems


async def test_a_last_line_without_a_newline_is_delivered_once(scene: Scene) -> None:
    scene.runtime.print(b"a")
    scene.runtime.part(b"no newline")
    running = asyncio.create_task(scene.run())
    await scene.until(lambda: scene.sink.texts)
    scene.set(ended=True)
    assert (await running).texts == ["a", "no newline"]


async def test_a_container_that_printed_nothing_ends(scene: Scene) -> None:
    scene.set(ended=True)
    sink = await scene.run()
    assert (sink.texts, sink.problems) == ([], [])


async def test_rotations_and_compression_lose_nothing(scene: Scene) -> None:
    running = asyncio.create_task(scene.run())
    expected = []
    for number in range(200):
        text = b"%d" % number + b"x" * 20_000 * (number % 20 == 0)
        scene.runtime.print(text, ("stdout", "stderr")[number % 3 == 0])
        expected.append(text)
        if number % 25 == 24:
            await scene.until(lambda: scene.sink.lines)
            scene.runtime.rotate()
            await asyncio.sleep(0.03)  # of the kubelet: there is time between two rotations
    scene.set(ended=True)
    sink = await running
    assert [line.text for line in sink.lines] == expected
    assert not sink.problems


async def test_a_pod_that_is_deleted_loses_nothing_that_the_server_holds(scene: Scene) -> None:
    scene.sink.room_at = 1
    running = asyncio.create_task(scene.run())
    for number in range(50):
        scene.runtime.print(b"%d" % number)
    await scene.until(lambda: scene.sink.lines)
    scene.runtime.print(b"last")
    scene.runtime.remove()
    scene.set(gone=True)
    sink = await running
    assert sink.texts == [*map(str, range(50)), "last"]
    assert not sink.problems


async def test_a_pod_that_was_deleted_before_anybody_read_is_said_to_be_lost(scene: Scene) -> None:
    scene.runtime.remove()
    scene.set(gone=True)
    sink = await scene.run()
    assert len(sink.problems) == 1
    assert "its pod was deleted before the log was read to its end" in sink.problems[0]


async def test_a_container_that_could_not_be_started_has_no_log_and_that_is_no_loss(scene: Scene) -> None:
    scene.runtime.remove()
    scene.set(ended=True, never_ran=True)
    assert (await scene.run()).problems == []


async def test_a_server_that_is_replaced_is_waited_for(scene: Scene, tmp_path: Path) -> None:
    running = asyncio.create_task(scene.run())
    scene.runtime.print(b"a")
    await scene.until(lambda: scene.sink.texts == ["a"])
    scene.nodes.changed(scene.served.pod(ready=False))
    await scene.served.server.stop()
    scene.runtime.print(b"b")
    async with serving(tmp_path / "pods") as successor:
        scene.nodes.changed(successor.pod(uid="server-2"))
        await scene.until(lambda: scene.sink.texts == ["a", "b"])
        scene.set(ended=True)
        assert (await running).problems == []


async def test_a_node_without_a_server_is_given_up_when_the_run_is_overdue(scene: Scene) -> None:
    scene.nodes.deleted("server-1")
    scene.runtime.print(b"a")
    scene.set(ended=True, overdue=True)
    (problem,) = (await scene.run()).problems
    assert "could not be read to its end" in problem
    assert "node node-1 has no log server that is ready" in problem


async def test_a_stranger_is_not_answered_and_the_run_says_why(scene: Scene) -> None:
    scene.served.reviewer.tokens.clear()
    scene.set(ended=True, overdue=True)
    (problem,) = (await scene.run()).problems
    assert "answers 401: show a token of" in problem


async def test_files_that_are_gone_are_an_event_with_what_is_known(scene: Scene) -> None:
    scene.runtime.print(b"a")
    running = asyncio.create_task(scene.run())
    await scene.until(lambda: scene.sink.texts == ["a"])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    scene.served.folders.close()  # the server died, too
    for number in range(7):
        scene.runtime.rotate()
        scene.runtime.print(b"%d" % number)
    scene.follow()
    scene.set(ended=True)
    sink = await scene.run()
    assert sink.texts == ["a", "2", "3", "4", "5", "6"]
    (problem,) = sink.problems
    assert "after 2026-11-24T07:46:33.001000001Z before 2026-11-24T07:46:33.004000004Z may be missing" in problem
    assert "how much is not known" in problem


async def test_a_log_whose_beginning_may_be_gone_is_said_to_be_incomplete(scene: Scene) -> None:
    scene.started = BEGIN
    scene.runtime.now += 60 * SECOND
    scene.runtime.print(b"a")
    scene.runtime.rotate()
    scene.runtime.print(b"b")
    scene.follow()
    scene.set(ended=True)
    sink = await scene.run()
    assert sink.texts == ["a", "b"]
    assert ["before its first file was deleted" in problem for problem in sink.problems] == [True]


async def test_one_that_begins_with_the_container_is_complete(scene: Scene) -> None:
    scene.started = BEGIN
    scene.runtime.print(b"a")
    scene.runtime.rotate()
    scene.runtime.print(b"b")
    scene.follow()
    scene.set(ended=True)
    assert (await scene.run()).problems == []


async def test_lines_of_another_form_are_said_to_be_missing(scene: Scene) -> None:
    scene.runtime.print(b"a")
    with scene.runtime.current.open("ab") as file:
        file.write(b"2026-11-24T07:46:34Z something else\n")
    scene.runtime.print(b"b")
    scene.set(ended=True)
    sink = await scene.run()
    assert sink.texts == ["a", "b"]
    (problem,) = sink.problems
    assert "wrote 1 in another form" in problem


async def test_a_full_journal_is_waited_for(scene: Scene) -> None:
    scene.sink.room_at = 256
    for number in range(1000):
        scene.runtime.print(b"%d" % number)
    scene.set(ended=True)
    sink = await scene.run()
    assert sink.texts == [*map(str, range(1000))]
    assert sink.waited == 3


async def test_all_is_read_when_a_request_that_was_made_after_the_question_brings_nothing(scene: Scene) -> None:
    running = asyncio.create_task(scene.run())
    scene.runtime.print(b"a")
    await scene.until(lambda: scene.sink.texts == ["a"])
    asked = time.monotonic()
    assert not scene.follower.has_read_all(asked)
    await scene.until(lambda: scene.follower.has_read_all(asked))
    scene.runtime.print(b"b")
    await scene.until(lambda: scene.sink.texts == ["a", "b"])
    assert not scene.follower.has_read_all(asked)
    running.cancel()
