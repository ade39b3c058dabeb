"""Following one log: what is asked, and when it is over."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.collector.metrics import Metrics
from componentrun.collector.readers.api import end as logend
from componentrun.collector.readers.api import follower as module
from componentrun.collector.readers.api.follower import Follower, View
from componentrun.collector.readers.api.lines import SECOND
from componentrun.collector.readers.api.position import Position
from componentrun.process.kubernetes.errors import KubeError, NotFoundError, UnavailableError
from tests.unit.collector.fakekube import FakeKube, Play
from tests.unit.collector.node import line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.collector.readers.line import Line

T0 = 1_795_506_393 * SECOND
RECONNECTS = "componentrun_collector_reconnects_total"
RUNS = View(ended=False, gone=False, never_ran=False, restarts=0, overdue=False)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_PAUSE", "_LONGEST_PAUSE", "_POLL_PAUSE"):
        monkeypatch.setattr(module, name, 0.001)


@dataclass
class ListSink:
    """Keeps what it is given."""

    position: Position = field(default_factory=Position)
    texts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    room_at: int = 10**9
    waited: int = 0
    settled: int = 0

    def take(self, lines: Sequence[Line]) -> bool:
        before = len(self.texts) // self.room_at
        self.texts += [line.text.decode() for line in lines]
        self.position.add(lines)
        return len(self.texts) // self.room_at == before

    def settle(self) -> None:
        self.settled += 1

    async def room(self) -> None:
        self.waited += 1

    def lost(self, _key: str, message: str) -> None:
        self.problems.append(message)


@dataclass
class Scene:
    """One container, its log's script, and what the watch says."""

    plays: list[Play]
    view: View = RUNS
    kube: FakeKube = field(default_factory=FakeKube)
    sink: ListSink = field(default_factory=ListSink)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.kube.logs.plays["component"] = self.plays
        kube: Any = self.kube
        self.follower = Follower(kube, ("team", "clean-1", "component"), lambda: self.view, self.sink, self.metrics)

    def sets(self, **changes: bool | int) -> Any:
        def change() -> None:
            self.view = replace(self.view, **changes)  # type: ignore[arg-type]  # of any type
            self.follower.nudge()

        return change

    async def run(self) -> ListSink:
        async with asyncio.timeout(5):
            await self.follower.run()
        return self.sink

    async def until_read(self) -> None:
        """Until the first line has come."""
        async with asyncio.timeout(5):
            while not self.sink.texts:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)


def log(*texts: str, begin: int = 0, end: bytes = b"\n") -> bytes:
    return b"".join(line(T0 + begin + number, text.encode()) + end for number, text in enumerate(texts))


async def test_an_ended_container_is_read_until_nothing_new_comes() -> None:
    scene = Scene([Play(log("a", "b")), Play(log("a", "b"))], replace(RUNS, ended=True))
    sink = await scene.run()
    assert (sink.texts, sink.problems) == (["a", "b"], [])
    assert [ask["since"] for ask in scene.kube.logs.asked] == [None, "2026-11-24T07:46:32Z"]
    assert not any(ask["follow"] for ask in scene.kube.logs.asked)


async def test_the_end_of_an_answer_is_not_the_end_of_the_container() -> None:
    scene = Scene([])
    scene.plays += [
        Play(log("a")),
        Play(error=NotFoundError("not yet", 404)),
        Play(error=UnavailableError("connection refused", 500)),
        Play(log("a", "b"), then=scene.sets(ended=True)),
        Play(log("a", "b", "c")),
        Play(log("a", "b", "c")),
    ]
    sink = await scene.run()
    assert (sink.texts, sink.problems) == (["a", "b", "c"], [])


async def test_lines_behind_a_status_of_terminated_are_read() -> None:
    scene = Scene([])
    scene.plays += [Play(log("a"), then=scene.sets(ended=True)), Play(log("a", "b")), Play(log("a", "b"))]
    assert (await scene.run()).texts == ["a", "b"]


async def test_an_unfinished_line_of_a_cut_stream_is_thrown_away() -> None:
    scene = Scene([])
    scene.plays += [
        Play(log("a") + log("bro", begin=1, end=b""), cut=True, then=scene.sets(ended=True)),
        Play(log("a", "broken")),
        Play(log("a", "broken")),
    ]
    assert (await scene.run()).texts == ["a", "broken"]


async def test_what_was_read_of_a_line_that_a_rotation_has_cut_is_not_thrown_away() -> None:
    scene = Scene([])
    new_file = log("ken", "c", begin=2)
    scene.plays += [
        Play(log("a") + log("bro", begin=1, end=b"")),
        Play(new_file, then=scene.sets(ended=True)),
        Play(new_file),
    ]
    sink = await scene.run()
    assert sink.texts == ["a", "bro", "ken", "c"]
    (said,) = sink.problems
    assert "between 2026-11-24T07:46:33.000000001Z and 2026-11-24T07:46:33.000000002Z" in said


async def test_an_unfinished_line_at_the_real_end_is_a_line() -> None:
    data = log("a") + log("b", begin=1, end=b"")
    scene = Scene([Play(data), Play(data)], replace(RUNS, ended=True))
    assert (await scene.run()).texts == ["a", "b"]


async def test_an_unfinished_line_of_a_pod_that_is_gone_is_a_line() -> None:
    scene = Scene([])
    scene.plays += [Play(log("a") + log("b", begin=1, end=b""), then=scene.sets(gone=True))]
    sink = await scene.run()
    assert (sink.texts, sink.problems) == (["a", "b"], [])


@pytest.mark.parametrize("then", ["gone", "ended"])
async def test_a_log_that_is_removed_right_behind_its_end_was_read(then: str) -> None:
    words = b"unable to retrieve container logs for containerd://1"
    scene = Scene([])
    scene.plays += [
        Play(log("a") + log("b", begin=1, end=b"")),
        Play(words),
        Play(words, then=scene.sets(**{then: True})),
        Play(words),
    ]
    sink = await scene.run()
    assert (sink.texts, sink.problems) == (["a", "b"], [])


@pytest.mark.parametrize("then", ["gone", "ended"])
async def test_an_answer_that_is_empty_does_not_take_back_an_unfinished_line(then: str) -> None:
    scene = Scene([])
    scene.plays += [Play(log("a") + log("b", begin=1, end=b"")), Play(b"", then=scene.sets(**{then: True})), Play(b"")]
    scene.plays += [Play(b"")]
    sink = await scene.run()
    assert (sink.texts, sink.problems) == (["a", "b"], [])


async def test_a_clean_end_does_not_prove_that_there_was_no_unfinished_line() -> None:
    scene = Scene([])
    scene.plays += [Play(log("a"), then=scene.sets(gone=True))]
    sink = await scene.run()
    assert sink.texts == ["a"]
    (problem,) = sink.problems
    assert "after 2026-11-24T07:46:33.000000000Z may be missing" in problem
    assert "a last line without a newline" in problem


async def test_nothing_is_missing_where_each_line_is_known_to_be_ended() -> None:
    scene = Scene([])
    scene.follower._ends_lines = True
    scene.plays += [Play(log("a"), then=scene.sets(gone=True))]
    sink = await scene.run()
    assert (sink.texts, sink.problems) == (["a"], [])


async def test_an_answer_that_was_asked_for_after_the_end_is_complete() -> None:
    scene = Scene([], replace(RUNS, ended=True))
    scene.plays += [Play(log("a"), then=scene.sets(gone=True))]
    sink = await scene.run()
    assert (sink.texts, sink.problems) == (["a"], [])


async def test_a_pod_that_goes_away_unread_is_said() -> None:
    scene = Scene([], replace(RUNS, gone=True))
    sink = await scene.run()
    (problem,) = sink.problems
    assert problem.startswith("lines of container `component` of pod `clean-1` may be missing: ")
    assert problem.endswith("its pod was deleted before the log was read to its end")


async def test_a_pod_that_goes_away_while_the_connection_is_broken_is_said() -> None:
    scene = Scene([])
    scene.plays += [Play(log("a"), cut=True, then=scene.sets(gone=True))]
    (problem,) = (await scene.run()).problems
    assert "after 2026-11-24T07:46:33.000000000Z may be missing" in problem
    assert "(cut off)" in problem


async def test_a_pod_that_goes_away_long_after_the_last_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FRESH_END", 0.0)
    scene = Scene([])
    scene.plays += [Play(log("a")), Play(error=NotFoundError("x", 404)), Play(error=NotFoundError("x", 404), then=None)]
    asyncio.get_running_loop().call_later(0.05, scene.sets(gone=True))
    assert len((await scene.run()).problems) == 1


async def test_logs_that_are_not_there_any_more_are_given_up_with_the_kubelets_words() -> None:
    words = b"unable to retrieve container logs for containerd://1"
    scene = Scene([Play(words)], replace(RUNS, ended=True))
    (problem,) = (await scene.run()).problems
    assert problem.endswith("the log is not there any more (unable to retrieve container logs for containerd://1)")
    assert len(scene.kube.logs.asked) == module._UNREADABLE_TRIES


async def test_a_container_that_never_ran_has_no_log_and_nothing_is_missing() -> None:
    scene = Scene([Play(b"unable to retrieve container logs")], replace(RUNS, ended=True, never_ran=True))
    sink = await scene.run()
    assert (sink.texts, sink.problems) == ([], [])


async def test_without_a_watcher_on_the_node_the_log_is_read_in_steps() -> None:
    words = b"failed to create fsnotify watcher: too many open files"
    scene = Scene([])
    scene.plays += [
        Play(log("a") + words),
        Play(log("a")),
        Play(log("a", "b"), then=scene.sets(ended=True)),
        Play(log("a", "b")),
    ]
    sink = await scene.run()
    assert (sink.texts, sink.problems) == (["a", "b"], [])
    assert [ask["follow"] for ask in scene.kube.logs.asked] == [True, False, False, False]


async def test_a_log_that_stays_unreadable_is_given_up_when_it_is_overdue() -> None:
    error = UnavailableError("no route to host", 500)
    scene = Scene([Play(log("a")), Play(error=error)], replace(RUNS, overdue=True))
    sink = await scene.run()
    assert sink.texts == ["a"]
    assert "could not be read to its end (no route to host)" in sink.problems[0]


async def test_a_container_that_has_not_started_is_asked_again() -> None:
    scene = Scene([])
    scene.plays += [
        Play(error=KubeError("waiting to start", 400)),
        Play(log("a"), then=scene.sets(ended=True)),
        Play(log("a")),
    ]
    assert (await scene.run()).texts == ["a"]


async def test_a_rotation_between_two_answers_is_said_once() -> None:
    scene = Scene([])
    scene.plays += [
        Play(log("a"), cut=True),
        Play(log("c", begin=SECOND), then=scene.sets(ended=True)),
        Play(log("c", begin=SECOND)),
    ]
    sink = await scene.run()
    assert sink.texts == ["a", "c"]
    (problem,) = sink.problems
    assert "between 2026-11-24T07:46:33.000000000Z and 2026-11-24T07:46:34.000000000Z" in problem


async def test_lines_from_the_past_are_not_delivered_again_and_said() -> None:
    scene = Scene([])
    again = log("b", begin=20 * SECOND)
    scene.plays += [
        Play(log("a") + again + log("a")),
        Play(again, then=scene.sets(ended=True)),
        Play(again),
    ]
    sink = await scene.run()
    assert sink.texts == ["a", "b"]
    assert "rotated while reading it was late" in sink.problems[0]


async def test_a_clock_that_was_set_back_loses_nothing() -> None:
    ahead = time.time_ns() + 3600 * SECOND
    back = line(T0, b"back") + b"\n"
    scene = Scene([])
    scene.plays += [
        Play(line(ahead, b"ahead") + b"\n" + back),
        Play(line(ahead, b"ahead") + b"\n" + back, then=scene.sets(ended=True)),
        Play(line(ahead, b"ahead") + b"\n" + back),
    ]
    sink = await scene.run()
    assert (sink.texts, sink.problems) == (["ahead", "back"], [])
    assert scene.kube.logs.asked[1]["since"] == "2026-11-24T07:46:32Z"


async def test_a_silent_stream_of_an_ended_container_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENCE", 0.01)
    scene = Scene([])
    scene.plays += [Play(log("a"), hang=True, then=scene.sets(ended=True)), Play(log("a", "b")), Play(log("a", "b"))]
    task = asyncio.create_task(scene.run())
    await scene.until_read()
    await asyncio.sleep(0.05)
    assert scene.follower.open
    scene.follower.tick(ended_for=1.0)
    assert (await task).texts == ["a", "b"]


async def test_the_end_of_a_long_stream_is_no_reason_to_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_A_WHILE", 0.01)
    scene = Scene([])
    scene.plays += [Play(log("a"), hang=True), Play(log("a"), then=scene.sets(ended=True)), Play(log("a"))]
    task = asyncio.create_task(scene.run())
    await scene.until_read()
    heard = scene.follower.heard
    await asyncio.sleep(0.05)
    assert scene.follower.heard == heard
    scene.kube.end_well()
    assert (await task).problems == []
    assert scene.follower.heard - heard >= 0.05


async def test_a_late_follower_reads_what_is_there_before_it_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MUCH", 1)
    scene = Scene([])
    scene.plays += [
        Play(log("a", "b")),
        Play(log("a", "b", "c")),
        Play(log("a", "b", "c", "d"), then=scene.sets(ended=True)),
        Play(log("a", "b", "c", "d")),
    ]
    scene.follower._late = True
    assert (await scene.run()).texts == ["a", "b", "c", "d"]
    assert [ask["follow"] for ask in scene.kube.logs.asked] == [False, False, True, False]


async def test_a_full_journal_makes_the_stream_wait() -> None:
    scene = Scene([Play(log("a", "b", "c", "d"))], replace(RUNS, ended=True), sink=ListSink(room_at=2))
    assert (await scene.run()).waited == 1


async def test_lines_that_are_held_are_behind_the_position_before_anything_is_asked_again() -> None:
    scene = Scene([])
    scene.plays += [Play(log("a"), cut=True), Play(log("a", "b"), then=scene.sets(ended=True)), Play(log("a", "b"))]
    sink = await scene.run()
    assert sink.settled == len(scene.kube.logs.asked) == 3


async def test_a_restarted_sidecar_begins_a_new_log_without_a_gap() -> None:
    scene = Scene([])
    scene.plays += [
        Play(log("a"), then=scene.sets(restarts=1)),
        Play(log("b", begin=SECOND), then=scene.sets(ended=True)),
        Play(log("b", begin=SECOND)),
    ]
    sink = await scene.run()
    assert (sink.texts, sink.problems) == (["a", "b"], [])


class TestSilence:
    """An open stream that brings nothing proves nothing: the last line of the log is looked at."""

    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(logend, "_SILENCE", (0.01, 0.02))
        monkeypatch.setattr(logend, "_GRACE", 0.005)

    def reconnects(self, scene: Scene) -> float:
        return float(scene.metrics.registry.get_sample_value(RECONNECTS, {"cause": "silent"}) or 0)

    async def looked(self, scene: Scene, times: int) -> None:
        async with asyncio.timeout(5):
            while scene.kube.logs.looks < times:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.005)

    async def test_a_stream_that_lacks_lines_of_the_log_is_opened_anew(self) -> None:
        """The kubelet follows a file that was rotated away."""
        scene = Scene([])
        scene.plays += [
            Play(log("a"), hang=True),
            Play(log("a", "b"), then=scene.sets(ended=True)),
            Play(log("a", "b")),
        ]
        scene.kube.logs.last_lines["component"] = Play(log("b", begin=1))
        sink = await scene.run()
        assert (sink.texts, sink.problems) == (["a", "b"], [])
        assert self.reconnects(scene) == 1

    async def test_a_stream_is_left_open_where_the_container_says_nothing(self) -> None:
        scene = Scene([Play(log("a"), hang=True)])
        scene.kube.logs.last_lines["component"] = Play(log("a"))
        running = asyncio.create_task(scene.run())
        await self.looked(scene, 3)
        assert len(scene.kube.logs.asked) == 1
        running.cancel()

    @pytest.mark.parametrize("answer", [Play(b""), Play(log("not ended", end=b"")), Play(b"unable to retrieve\n")])
    async def test_what_says_nothing_about_the_last_line_leaves_it_open(self, answer: Play) -> None:
        """The file is new, the line is not finished, or the kubelet has a problem."""
        scene = Scene([Play(hang=True)])
        scene.kube.logs.last_lines["component"] = answer
        running = asyncio.create_task(scene.run())
        await self.looked(scene, 3)
        assert len(scene.kube.logs.asked) == 1
        running.cancel()

    async def test_a_stream_whose_lines_wait_for_room_is_not_looked_at(self) -> None:
        scene = Scene([Play(log("a", "b"), hang=True)])
        room, waits = asyncio.Event(), asyncio.Event()

        async def full() -> None:
            waits.set()
            await room.wait()

        scene.sink.room_at, scene.sink.room = 2, full  # type: ignore[method-assign]  # the fault of this test
        scene.kube.logs.last_lines["component"] = Play(log("c", begin=2))
        running = asyncio.create_task(scene.run())
        await waits.wait()
        await asyncio.sleep(0.1)
        assert (scene.kube.logs.looks, scene.follower.open) == (0, False)
        room.set()
        await self.looked(scene, 1)
        running.cancel()

    async def test_the_last_part_of_a_long_line_is_known(self) -> None:
        """The last line of a log in parts is its last part, with the time of that."""
        scene = Scene([Play(log("x" * 40_000), hang=True)])
        scene.kube.logs.last_lines["component"] = Play(log("x" * (40_000 - 2 * 16_384), begin=5))
        running = asyncio.create_task(scene.run())
        await self.looked(scene, 2)
        assert len(scene.kube.logs.asked) == 1
        running.cancel()

    async def test_all_silent_containers_together_are_looked_at_ten_times_a_second(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        monkeypatch.setattr(logend.time, "monotonic", lambda: 1_000.0)
        monkeypatch.setattr(logend.asyncio, "sleep", sleep)
        pace = logend.Pace()
        for _ in range(800):
            await pace.turn()
        assert slept == pytest.approx([number / 10 for number in range(800)])
