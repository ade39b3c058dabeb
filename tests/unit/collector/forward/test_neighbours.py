"""A run whose events can't be read keeps no other run's from their receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from componentrun.collector.forward import lane as module
from componentrun.storage.unsent import read_mark, write_mark
from tests.unit.collector.forward.receiver import Answering
from tests.unit.collector.forward.test_lane import NAME, Writer, at_work, got, in_memory, of_run, until_unmarked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.0)
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 0.01)


@pytest.fixture
async def receiver() -> AsyncIterator[Answering]:
    answering = Answering()
    await answering.start()
    yield answering
    await answering.stop()


async def test_a_run_that_cannot_be_read_keeps_no_other_back(receiver: Answering) -> None:
    store = in_memory()
    before = await Writer(store).write("broken", "oo")
    await store.put(store.layout.segment("broken", 3), b"{}\n")
    await write_mark(store, NAME, "broken", 0)
    async with at_work(store, receiver) as lane:
        for _ in range(3):
            await lane.adopt(lambda _: True)  # what is looked for every five minutes
            sent = await Writer(store, lane).write(f"r{_}", "oo", finished=True)
            await until_unmarked(store, but=["broken"])
            assert of_run(got(receiver), f"r{_}") == sent
    assert of_run(got(receiver), "broken") == before, "what can be read is sent, and once"
    assert await read_mark(store, NAME, "broken") == 2
