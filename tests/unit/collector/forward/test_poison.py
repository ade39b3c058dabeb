"""An event that a receiver can't process delays others for a moment, and none is left out that it could have had."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from componentrun.collector.forward.triage import TRIES
from componentrun.collector.metrics import Metrics
from componentrun.storage.events.deadletters import MOST_LETTERS, add_dead_letters, read_dead_letters
from tests.unit.collector.forward.receiver import RESET, got
from tests.unit.collector.forward.test_subscription import (
    NAME,
    Writer,
    _quick,  # noqa: F401 - a fixture
    at_work,
    in_memory,
    of_run,
    until_unmarked,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.collector.forward.receiver import Answering, Request


def fails_on(*poisonous: str, status: int = 500) -> Callable[[Request], int]:
    return lambda request: status if set(request.ids) & set(poisonous) else 204


@pytest.mark.parametrize("status", [500, 502, 503, RESET])
async def test_one_event_that_a_receiver_fails_on_does_not_block_the_others(receiver: Answering, status: int) -> None:
    store, metrics = in_memory(), Metrics()
    receiver.decides = fails_on("r1-3", status=status)
    async with at_work(store, receiver, metrics=metrics) as subscription:
        writer = Writer(store, subscription)
        sent = {
            "r1": await writer.write("r1", "oooooo", finished=True),
            "r2": await writer.write("r2", "ooo", finished=True),
        }
        await until_unmarked(store)
    assert of_run(got(receiver), "r1") == [event for event in sent["r1"] if event != "r1-3"]
    assert of_run(got(receiver), "r2") == sent["r2"]
    assert 'outcome="failed",sink="webhook"} 1.0' in metrics.render().decode()
    (letter,) = (await read_dead_letters(store, NAME, "r1"))["letters"]
    assert (letter["id"], letter["outcome"]) == ("r1-3", "failed")
    assert letter["tries"] >= TRIES
    assert str(status or "ServerDisconnected") in letter["answer"]


@pytest.mark.parametrize("status", [500, 503, RESET])
async def test_a_receiver_that_is_down_for_everything_loses_nothing(receiver: Answering, status: int) -> None:
    store, metrics = in_memory(), Metrics()
    receiver.status = status
    async with at_work(store, receiver, metrics=metrics) as subscription:
        writer = Writer(store, subscription)
        sent = {run: await writer.write(run, "ooooo", finished=True) for run in ("r1", "r2", "r3")}
        await receiver.until(lambda: len(receiver.requests) > 100)
        receiver.status = 204
        await until_unmarked(store)
    for run, ids in sent.items():
        assert list(dict.fromkeys(of_run(got(receiver), run))) == ids
    assert 'outcome="failed",sink="webhook"} 0.0' in metrics.render().decode()


async def test_several_events_that_a_receiver_fails_on_are_found_one_by_one(receiver: Answering) -> None:
    store = in_memory()
    poisonous = {"r1-1", "r1-2", "r2-1", "r1-7"}
    receiver.decides = fails_on(*poisonous)
    async with at_work(store, receiver) as subscription:
        writer = Writer(store, subscription)
        sent = [*await writer.write("r1", "o" * 8, finished=True), *await writer.write("r2", "oo", finished=True)]
        sent += await writer.write("r3", "ooo", finished=True)
        await until_unmarked(store)
    assert set(got(receiver)) == set(sent) - poisonous
    for run in ("r1", "r2"):
        assert of_run(got(receiver), run) == sorted(of_run(got(receiver), run))
        listed = (await read_dead_letters(store, NAME, run))["letters"]
        assert {letter["id"] for letter in listed} == {event for event in poisonous if event.startswith(run)}


async def test_an_event_that_is_alone_waits_until_another_one_tells(receiver: Answering) -> None:
    """With nothing to compare it with, nobody can tell a poisonous event from a receiver that is down."""
    store = in_memory()
    receiver.decides = fails_on("r1-1")
    async with at_work(store, receiver) as subscription:
        writer = Writer(store, subscription)
        await writer.write("r1", "o", finished=True)
        await receiver.until(lambda: len(receiver.requests) > 4 * TRIES)
        assert (await read_dead_letters(store, NAME, "r1"))["letters"] == []
        sent = await writer.write("r2", "o", finished=True)
        await until_unmarked(store)
    assert set(got(receiver)) == set(sent)
    assert [letter["id"] for letter in (await read_dead_letters(store, NAME, "r1"))["letters"]] == ["r1-1"]


async def test_a_receiver_that_recovers_between_an_event_and_the_one_it_is_compared_with_gets_both(
    receiver: Answering,
) -> None:
    store = in_memory()
    down = TRIES
    receiver.decides = lambda _: 500 if len(receiver.requests) < down else 204
    async with at_work(store, receiver) as subscription:
        subscription.receiver, one = None, subscription.receiver
        writer = Writer(store, subscription)
        sent = [*await writer.write("r1", "o", finished=True)]
        subscription.receiver = one
        subscription.wake()
        await receiver.until(lambda: len(receiver.requests) >= 1)
        sent += await writer.write("r2", "o", finished=True)
        await until_unmarked(store)
    assert set(got(receiver)) == set(sent)
    assert (await read_dead_letters(store, NAME, "r1"))["letters"] == []


async def test_one_event_that_is_refused_does_not_take_its_batch_with_it(
    receiver: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    store, metrics = in_memory(), Metrics()
    receiver.decides = fails_on("r1-5", status=400)
    async with at_work(store, receiver, metrics=metrics) as subscription:
        sent = await Writer(store, subscription).write("r1", "o" * 9, finished=True)
        with caplog.at_level(logging.ERROR):
            await until_unmarked(store)
    assert got(receiver) == [event for event in sent if event != "r1-5"]
    assert 'outcome="refused",sink="webhook"} 1.0' in metrics.render().decode()
    (letter,) = (await read_dead_letters(store, NAME, "r1"))["letters"]
    assert (letter["id"], letter["outcome"], letter["tries"]) == ("r1-5", "refused", 1)
    assert "1 event left out as dead letters, the first one r1-5: 127.0.0.1 answered 400" in caplog.text


async def test_a_receiver_that_refuses_everything_costs_two_requests_an_event_at_most(receiver: Answering) -> None:
    store = in_memory()
    receiver.status = 400
    async with at_work(store, receiver) as subscription:
        await Writer(store, subscription).write("r1", "o" * 100, finished=True)
        await until_unmarked(store)
    assert len(receiver.requests) < 200
    assert len((await read_dead_letters(store, NAME, "r1"))["letters"]) == 100


async def test_many_events_of_one_run_that_a_receiver_fails_on_cost_few_requests_each(receiver: Answering) -> None:
    store = in_memory()
    receiver.decides = lambda request: 500 if any(event.startswith("r1") for event in request.ids) else 204
    async with at_work(store, receiver) as subscription:
        writer = Writer(store, subscription)
        await writer.write("r1", "o" * 30, finished=True)
        sent = await writer.write("r2", "o" * 30, finished=True)
        await until_unmarked(store)
    assert got(receiver) == sent
    assert len(receiver.requests) < 30 * 8


async def test_dead_letters_of_one_run_are_bounded_and_counted_once() -> None:
    store = in_memory()
    letters = [{"id": f"r1-{number}"} for number in range(MOST_LETTERS)]
    await add_dead_letters(store, NAME, "r1", letters)
    await add_dead_letters(store, NAME, "r1", [{"id": "r1-0"}, {"id": "r1-more"}])
    found = await read_dead_letters(store, NAME, "r1")
    assert (found["letters"], found["more"]) == (letters, 1)


async def test_dead_letters_that_cannot_be_written_are_sent_again_and_not_lost(
    receiver: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    from componentrun.collector.forward import subscription as module  # noqa: PLC0415 - patched
    from componentrun.errors import TransientError  # noqa: PLC0415 - only here

    store, refusals = in_memory(), [TransientError("the store is away")] * 3

    async def troubled(*arguments: object) -> None:
        if refusals:
            raise refusals.pop()
        await add_dead_letters(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "add_dead_letters", troubled)
    receiver.decides = fails_on("r1-1", status=400)
    async with at_work(store, receiver) as subscription:
        sent = await Writer(store, subscription).write("r1", "oo", finished=True)
        await until_unmarked(store)
    assert set(got(receiver)) == {sent[1]}
    assert len((await read_dead_letters(store, NAME, "r1"))["letters"]) == 1
