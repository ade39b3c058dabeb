"""Who may read logs, and how often the API server is asked about it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from componentrun.process import guard as module
from componentrun.process.guard import BusyError
from componentrun.process.kubernetes.errors import UnavailableError
from componentrun.wire.logserver import AUDIENCE
from tests.unit.nodelogs.serving import READER, TOKEN, Gate
from tests.unit.process.reviewer import granted


async def test_the_collector_is_let_in_and_asked_about_once_a_minute() -> None:
    gate = Gate()
    for _ in range(3):
        assert await gate.admits()
    assert gate.reviewer.asked == [TOKEN]
    gate.now += 61
    assert await gate.admits()
    assert len(gate.reviewer.asked) == 2


async def test_a_token_that_was_taken_back_is_refused_after_a_minute() -> None:
    gate = Gate()
    assert await gate.admits()
    gate.reviewer.tokens.clear()
    gate.now += 61
    assert not await gate.admits()


@pytest.mark.parametrize(
    "review",
    [
        {"authenticated": False},
        {},
        granted("system:serviceaccount:componentrun-system:operator", AUDIENCE),
        granted(READER, "https://kubernetes.default.svc"),
        granted(READER),
        granted("system:serviceaccount:other:collector", AUDIENCE),
    ],
    ids=["unknown", "empty", "another account", "another audience", "no audience", "another namespace"],
)
async def test_nobody_else_is(review: dict[str, Any]) -> None:
    gate = Gate(other=review)
    assert not await gate.admits("Bearer other")


@pytest.mark.parametrize("shown", ["", "Bearer ", "Bearer", TOKEN, f"Basic {TOKEN}", "Bearer " + "x" * 9000])
async def test_what_is_no_token_is_refused_without_asking(shown: str) -> None:
    gate = Gate()
    assert not await gate.admits(shown)
    assert gate.reviewer.asked == []


async def test_a_refusal_is_remembered_too() -> None:
    gate = Gate()
    for _ in range(3):
        assert not await gate.admits("Bearer stranger")
    assert gate.reviewer.asked == ["stranger"]


async def test_many_requests_with_one_token_ask_once() -> None:
    gate = Gate()
    gate.reviewer.hold = asyncio.Event()
    asking = [asyncio.create_task(gate.admits()) for _ in range(50)]
    await asyncio.sleep(0)
    gate.reviewer.hold.set()
    assert await asyncio.gather(*asking) == [True] * 50
    assert gate.reviewer.asked == [TOKEN]


async def test_strangers_do_not_keep_the_collector_out() -> None:
    gate = Gate()
    assert await gate.admits()
    gate.now += 61
    gate.reviewer.hold = asyncio.Event()
    strangers = [asyncio.create_task(gate.admits(f"Bearer {number}")) for number in range(8)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await gate.admits("Bearer one more")
    collector = asyncio.create_task(gate.admits())
    await asyncio.sleep(0)
    assert gate.reviewer.asked == [TOKEN, "0", TOKEN], "it does not wait in the strangers' line"
    gate.reviewer.hold.set()
    assert await collector
    assert await asyncio.gather(*strangers) == [False] * 8


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_KNOWN", 3)
    gate = Gate()
    for number in range(10):
        await gate.admits(f"Bearer {number}")
    assert len(gate.guard._known) == 3


async def test_an_api_server_that_is_away_is_no_answer() -> None:
    gate = Gate()
    gate.reviewer.error = UnavailableError("away")
    with pytest.raises(UnavailableError):
        await gate.admits()
    gate.reviewer.error = None
    assert await gate.admits()
