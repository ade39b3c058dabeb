"""Events reach a receiver, each at least once and in order, whatever becomes of receiver and collector.

Real: HTTP over a socket, the subscription, what is in Storage (obstore's store in memory). Not here: Kubernetes, see
test_forwarder.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from obstore.store import MemoryStore

from componentrun.api.storage import StorageOtlp, StorageWebhook
from componentrun.collector.forward import delivery
from componentrun.collector.forward import subscription as module
from componentrun.collector.forward.receivers import otlp_receiver, webhook_receiver
from componentrun.collector.forward.subscription import Subscription
from componentrun.collector.metrics import Metrics
from componentrun.errors import TransientError
from componentrun.storage.events.events import About, Event
from componentrun.storage.events.forwardmarks import marked_runs, read_mark, write_mark
from componentrun.storage.events.segments import append_segment, list_events
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from tests.unit.collector.forward.receiver import RESET, SECRET, Answering, got, secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

NAME = "team/main/webhook"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.0)
    for each in (module, delivery):
        monkeypatch.setattr(each, "_FIRST_PAUSE", 0.001)
        monkeypatch.setattr(each, "_LONGEST_PAUSE", 0.01)


class Writer:
    """The collector's own work: segments in Storage, each offered once it is there."""

    def __init__(self, store: Store, subscription: Subscription | None = None) -> None:
        self.store, self.subscription = store, subscription
        self.next: dict[str, int] = {}
        self.about: dict[str, About] = {}

    async def write(self, run: str, kinds: str, *, finished: bool = False, ago: timedelta = timedelta(0)) -> list[str]:
        """A segment: `o` for an event of the operator, `.` for a line. Ids of the operator's."""
        now = datetime.now(UTC) - ago
        first = self.next.get(run, 1)
        events = [
            Event(f"{run}-{seq}", seq, now.isoformat(), run, "a", "1", "info", f"event {seq}",
                  source="operator" if kind == "o" else "component")
            for seq, kind in enumerate(kinds, first)
        ]  # fmt: skip
        if self.subscription is not None:
            await self.subscription.enter(run, f"name-{run}", first)
        self.about[run] = self.about.get(run, About()).following(f"name-{run}", events, now)
        await append_segment(self.store, run, first, events, {"finished": finished}, self.about[run])
        self.next[run] = first + len(events)
        if self.subscription is not None:
            is_wanted = any(self.subscription.wants(event.source) for event in events)
            self.subscription.segment_written(run, first, events[-1].seq, is_wanted=is_wanted, is_finished=finished)
        return [event.id for event in events if event.source == "operator"]


def in_memory() -> Store:
    return Store(StoreSettings("a-bucket", name="main"), MemoryStore())


@asynccontextmanager
async def at_work(
    store: Store, receiver: Answering, *, kind: Any = "webhook", metrics: Metrics | None = None
) -> AsyncIterator[Subscription]:
    """A subscription that sends, as one collector has it."""
    made = Subscription("team", "main", kind, store, metrics or Metrics())
    if kind == "webhook":
        made.receiver = webhook_receiver(
            StorageWebhook(url=f"{receiver.url}/hook", secret_name="s"), secret(secret=SECRET)
        )
    else:
        made.receiver = otlp_receiver(StorageOtlp(endpoint=receiver.url), None)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.receiver.sender.close()


def of_run(ids: Sequence[str], run: str) -> list[str]:
    return [found for found in ids if found.rpartition("-")[0] == run]


async def marks(store: Store, name: str = NAME) -> list[str]:
    return [run async for run in marked_runs(store, name)]


async def until_unmarked(store: Store, *, but: Sequence[str] = (), name: str = NAME) -> None:
    """Until a receiver has got all, but for these runs."""
    async with asyncio.timeout(20):
        while await marks(store, name) != list(but):  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def test_life_cycle_events_are_sent_in_order_and_lines_are_not(receiver: Answering) -> None:
    store = in_memory()
    async with at_work(store, receiver) as subscription:
        writer = Writer(store, subscription)
        sent = await writer.write("r1", "oo..")
        assert await marks(store) == ["r1"]
        sent += await writer.write("r1", "....")
        sent += await writer.write("r1", ".o..o", finished=True)
        await until_unmarked(store)
    assert got(receiver) == sent
    request = receiver.requests[0]
    assert request.path == "/hook"
    assert request.headers["Content-Type"] == "application/cloudevents-batch+json"
    assert request.json[0]["source"] == "/namespaces/team/componentruns/name-r1"


@pytest.mark.parametrize("trouble", [500, 503, 404, 429, 302, RESET])
async def test_what_fails_is_tried_again_as_the_same_message(receiver: Answering, trouble: int) -> None:
    store, metrics = in_memory(), Metrics()
    receiver.script = [trouble, trouble, trouble]
    async with at_work(store, receiver, metrics=metrics) as subscription:
        sent = await Writer(store, subscription).write("r1", "ooo", finished=True)
        await until_unmarked(store)
    assert got(receiver) == sent
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert 'componentrun_sink_retries_total{sink="webhook"} 3.0' in metrics.render().decode()
    assert 'componentrun_sink_events_total{outcome="delivered",sink="webhook"} 3.0' in metrics.render().decode()


async def test_a_receiver_can_say_how_long_to_wait(receiver: Answering) -> None:
    store = in_memory()
    receiver.script = [(429, {"Retry-After": "1"})]
    async with at_work(store, receiver) as subscription:
        await Writer(store, subscription).write("r1", "o", finished=True)
        await receiver.until(lambda: len(receiver.taken) == 1)
    first, second = (int(request.headers["webhook-timestamp"]) for request in receiver.requests)
    assert second - first >= 1


async def test_what_is_refused_is_left_out_and_counted(receiver: Answering) -> None:
    store, metrics = in_memory(), Metrics()
    receiver.script = [400, 400, 400]
    async with at_work(store, receiver, metrics=metrics) as subscription:
        writer = Writer(store, subscription)
        await writer.write("r1", "oo")
        await receiver.until(lambda: len(receiver.requests) == 3)
        sent = await writer.write("r1", "o", finished=True)
        await until_unmarked(store)
    assert got(receiver) == sent
    assert 'componentrun_sink_events_total{outcome="refused",sink="webhook"} 2.0' in metrics.render().decode()


async def test_what_is_too_large_is_sent_in_parts(receiver: Answering) -> None:
    store = in_memory()
    receiver.decides = lambda request: 413 if len(request.ids) > 3 else 200
    async with at_work(store, receiver) as subscription:
        sent = await Writer(store, subscription).write("r1", "o" * 20, finished=True)
        await until_unmarked(store)
    assert got(receiver) == sent


async def test_what_is_older_than_a_day_is_left_out_and_counted(receiver: Answering) -> None:
    store, metrics = in_memory(), Metrics()
    async with at_work(store, receiver, metrics=metrics) as subscription:
        writer = Writer(store, subscription)
        await writer.write("r1", "oo", ago=timedelta(hours=25))
        sent = await writer.write("r1", "o", finished=True)
        await until_unmarked(store)
    assert got(receiver) == sent
    assert 'componentrun_sink_events_total{outcome="expired",sink="webhook"} 2.0' in metrics.render().decode()


async def test_writing_does_not_wait_for_a_receiver_that_does_not_answer(receiver: Answering) -> None:
    store = in_memory()
    receiver.hold = asyncio.Event()
    async with at_work(store, receiver) as subscription:
        writer = Writer(store, subscription)
        sent: dict[str, list[str]] = {}
        for number in range(40):
            run = f"r{number % 5}"
            sent[run] = sent.get(run, []) + await writer.write(run, ".oo.o", finished=number >= 35)
        assert not receiver.taken
        receiver.hold.set()
        await until_unmarked(store)
    for run, ids in sent.items():
        assert of_run(got(receiver), run) == ids


@pytest.mark.parametrize("death", range(6))
async def test_the_next_collector_goes_on_from_storage(receiver: Answering, death: int) -> None:
    """The first one dies when the receiver has got so many requests; no event is left out, some may come twice."""
    store = in_memory()
    receiver.decides = lambda _: 200 if len(receiver.requests) < death else 500
    async with at_work(store, receiver) as subscription:
        writer = Writer(store, subscription)
        sent = {run: await writer.write(run, "o.o" * 150) for run in ("r1", "r2")}
        sent["r1"] += await writer.write("r1", "o", finished=True)
        await receiver.until(lambda: len(receiver.requests) > death)
    receiver.decides = None
    async with at_work(store, receiver) as subscription:
        writer.subscription = subscription
        await subscription.adopt(lambda run: run != "others")
        sent["r2"] += await writer.write("r2", "oo", finished=True)
        await until_unmarked(store)
    for run, ids in sent.items():
        found = of_run(got(receiver), run)
        assert list(dict.fromkeys(found)) == ids
        assert found[-1] == ids[-1]


async def test_runs_of_other_shards_are_left_to_them(receiver: Answering) -> None:
    store = in_memory()
    async with at_work(store, receiver) as subscription:
        subscription.receiver, one = None, subscription.receiver
        writer = Writer(store, subscription)
        for run in ("ours", "theirs"):
            await writer.write(run, "o", finished=True)
        subscription.receiver = one
    async with at_work(store, receiver) as subscription:
        await subscription.adopt(lambda run: run == "ours")
        await until_unmarked(store, but=["theirs"])
    assert got(receiver) == ["ours-1"]


async def test_a_receiver_that_is_added_later_gets_what_is_said_from_then_on(receiver: Answering) -> None:
    store = in_memory()
    writer = Writer(store)
    await writer.write("r1", "ooo")
    async with at_work(store, receiver) as subscription:
        writer.subscription = subscription
        sent = await writer.write("r1", "oo", finished=True)
        await until_unmarked(store)
    assert got(receiver) == sent


async def test_an_end_that_another_collector_writes_while_something_is_sent_is_sent_too(receiver: Answering) -> None:
    """Shards change: the other one writes the last segment and ends before it has sent it."""
    store = in_memory()
    receiver.status = 500
    async with at_work(store, receiver) as subscription:
        writer = Writer(store, subscription)
        sent = await writer.write("r1", "o")
        await receiver.until(lambda: len(receiver.requests) > 0)
        writer.subscription = None
        sent += await writer.write("r1", "o", finished=True)
        subscription.overtaken("r1", 2)
        receiver.status = 204
        await until_unmarked(store)
    assert got(receiver) == sent


async def test_events_that_were_swept_are_not_waited_for(receiver: Answering) -> None:
    store = in_memory()
    async with at_work(store, receiver) as subscription:
        subscription.receiver, one = None, subscription.receiver
        writer = Writer(store, subscription)
        await writer.write("r1", "oo")
        await writer.write("r1", "o", finished=True)
        await store.delete([item.key for item in (await list_events(store, "r1")).segments])
        sent = await writer.write("r2", "o", finished=True)
        subscription.receiver = one
        subscription.wake()
        await until_unmarked(store)
    assert got(receiver) == sent


async def test_a_storage_in_trouble_delays_and_loses_nothing(
    receiver: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, get, refusals = in_memory(), Store.get, [TransientError("the store is away")] * 3

    async def troubled(self: Store, key: str) -> Any:
        if refusals and "/events/" in f"/{key}":
            raise refusals.pop()
        return await get(self, key)

    async with at_work(store, receiver) as subscription:
        sent = await Writer(store, subscription).write("r1", "oo", finished=True)
        monkeypatch.setattr(Store, "get", troubled)
        await until_unmarked(store)
    assert got(receiver) == sent
    assert not refusals


async def test_how_far_it_got_is_marked_at_the_end(receiver: Answering) -> None:
    store = in_memory()
    async with at_work(store, receiver) as subscription:
        await Writer(store, subscription).write("r1", "o..")
        await receiver.until(lambda: len(receiver.taken) == 1)
        async with asyncio.timeout(5):
            while await read_mark(store, NAME, "r1") != 3:
                await subscription.close()
                await asyncio.sleep(0.01)


async def test_marks_of_many_runs_are_written_concurrently_and_removed_together(
    receiver: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, put, delete, writing, deleted = in_memory(), Store.put, Store.delete, 0, []
    all_are_writing = asyncio.Event()

    async def put_together(self: Store, key: str, data: bytes) -> str:
        nonlocal writing
        writing += 1
        if writing == 10:
            all_are_writing.set()
        await all_are_writing.wait()
        return await put(self, key, data)

    async def delete_counted(self: Store, keys: Sequence[str]) -> None:
        deleted.append(len(keys))
        await delete(self, keys)

    async with at_work(store, receiver) as subscription:
        writer = Writer(store, subscription)
        for number in range(10):
            await writer.write(f"r{number}", "....")
        with monkeypatch.context() as patch, suppress(TimeoutError):
            patch.setattr(Store, "put", put_together)
            async with asyncio.timeout(1):
                await subscription.close()
    assert [await read_mark(store, NAME, f"r{number}") for number in range(10)] == [4] * 10
    monkeypatch.setattr(Store, "delete", delete_counted)
    async with at_work(store, receiver) as subscription:
        for number in range(10):
            await Writer(store).write(f"s{number}", "o", finished=True)
            await write_mark(store, NAME, f"s{number}", 0)
        await subscription.adopt(lambda run: run.startswith("s"))
        await until_unmarked(store, but=[f"r{number}" for number in range(10)])
    assert deleted == [10]


async def test_logs_of_all_events(receiver: Answering) -> None:
    store = in_memory()
    receiver.status, receiver.body = 200, b'{"partialSuccess":{"rejectedLogRecords":"1"}}'
    metrics = Metrics()
    async with at_work(store, receiver, kind="otlp", metrics=metrics) as subscription:
        await Writer(store, subscription).write("r1", "o..o", finished=True)
        await until_unmarked(store, name="team/main/otlp")
    (request,) = receiver.taken
    assert request.path == "/v1/logs"
    records = request.json["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert [record["body"]["stringValue"] for record in records] == [f"event {number}" for number in range(1, 5)]
    assert 'componentrun_sink_events_total{outcome="delivered",sink="otlp"} 3.0' in metrics.render().decode()


async def test_a_run_that_cannot_be_read_keeps_no_other_back(receiver: Answering) -> None:
    store = in_memory()
    before = await Writer(store).write("broken", "oo")
    await store.put(store.layout.segment("broken", 3), b"{}\n")
    await write_mark(store, NAME, "broken", 0)
    async with at_work(store, receiver) as subscription:
        for _ in range(3):
            await subscription.adopt(lambda _: True)  # what is looked for every five minutes
            sent = await Writer(store, subscription).write(f"r{_}", "oo", finished=True)
            await until_unmarked(store, but=["broken"])
            assert of_run(got(receiver), f"r{_}") == sent
    assert of_run(got(receiver), "broken") == before, "what can be read is sent, and once"
    assert await read_mark(store, NAME, "broken") == 2


@pytest.fixture
def segments_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the segments that were read."""
    get, keys = Store.get, []

    async def counted(self: Store, key: str, **options: Any) -> Any:
        if key.endswith(".jsonl.zst"):
            keys.append(key)
        return await get(self, key, **options)

    monkeypatch.setattr(Store, "get", counted)
    return keys


async def test_segments_without_events_for_the_receiver_are_not_read(
    receiver: Answering, segments_read: list[str]
) -> None:
    store = in_memory()
    async with at_work(store, receiver) as subscription:
        writer = Writer(store, subscription)
        for _ in range(20):
            await writer.write("r1", "....")
        await writer.write("r1", "..o", finished=True)
        await until_unmarked(store)
    assert got(receiver) == ["r1-83"]
    assert segments_read == [store.layout.segment("r1", 81)]


async def test_a_segment_is_read_once(receiver: Answering, segments_read: list[str]) -> None:
    store = in_memory()
    async with at_work(store, receiver) as subscription:
        writer = Writer(store, subscription)
        sent = []
        for number in range(10):
            sent += await writer.write("r1", "oo", finished=number == 9)
            await receiver.until(lambda: len(got(receiver)) == len(sent))  # noqa: B023 - awaited before it changes
        await until_unmarked(store)
    assert got(receiver) == sent
    assert len(segments_read) == len(set(segments_read)) == 10


async def test_large_segments_of_many_runs_are_not_read_again_for_every_few_events(
    receiver: Answering, segments_read: list[str]
) -> None:
    store = in_memory()
    receiver.hold = asyncio.Event()
    async with at_work(store, receiver) as subscription:
        writer = Writer(store, subscription)
        sent = {run: await writer.write(run, "o" * 200, finished=True) for run in (f"r{n}" for n in range(16))}
        receiver.hold.set()
        await until_unmarked(store)
    for run, ids in sent.items():
        assert of_run(got(receiver), run) == ids
    assert len(segments_read) <= 5 * len(sent), "a request has room for half of a segment"


async def test_small_segments_of_many_runs_are_read_side_by_side(receiver: Answering) -> None:
    store = in_memory()
    writer = Writer(store)
    for n in range(16):
        for number in range(20):
            await writer.write(f"r{n}", "o", finished=number == 19)
        await write_mark(store, NAME, f"r{n}", 0)
    async with at_work(store, receiver) as subscription:
        await subscription.adopt(lambda _: True)
        await until_unmarked(store)
    assert all(len({found.partition("-")[0] for found in request.ids}) == 16 for request in receiver.taken)


async def test_a_receiver_that_is_closed_while_it_enters_a_run_forgets_it(
    receiver: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, find = in_memory(), Store.find
    began, go = asyncio.Event(), asyncio.Event()

    async def slow(self: Store, key: str) -> object:
        began.set()
        await go.wait()
        return await find(self, key)

    monkeypatch.setattr(Store, "find", slow)
    async with at_work(store, receiver) as subscription:
        entering = asyncio.create_task(subscription.enter("r1", "r1", 1))
        await began.wait()
        await subscription.close()
        go.set()
        await entering
        assert not subscription._runs
