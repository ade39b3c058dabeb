"""Which of two states is the later one, whatever the clocks say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from componentrun.storage.state.state import Author, StateOwner, read_memory, read_state, remove_state, write_state
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings

if TYPE_CHECKING:
    import pytest

OWNER = StateOwner("ex", "12")
SETTINGS = StoreSettings(bucket="bucket", endpoint="http://store.test", name="main")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def new_store() -> Store:
    return Store(SETTINGS, MemoryStore())


@dataclass
class Run:
    """A run of the one configuration, created so many seconds after noon."""

    store: Store
    created: float
    given: int = 0

    async def start(self) -> Run:
        self.given = (await read_memory(self.store, OWNER)).number
        return self

    async def end(self) -> bool:
        author = Author(f"uid-{self.created}", NOON + timedelta(seconds=self.created), self.given)
        return await write_state(self.store, OWNER, {"by": self.created}, author=author)


async def test_a_run_that_was_given_a_state_leaves_the_next_one_whatever_the_clocks_said() -> None:
    """The one before it was created by an API server that is ten minutes ahead."""
    store = new_store()
    assert await (await Run(store, 600).start()).end()
    assert await (await Run(store, 10).start()).end()
    assert await read_state(store, OWNER) == {"by": 10}


async def test_a_publish_that_is_resumed_late_leaves_the_state_of_a_later_run() -> None:
    store = new_store()
    late = await Run(store, 1).start()
    assert await (await Run(store, 2).start()).end(), "it was given the same state"
    assert not await late.end()
    assert await (await Run(store, 3).start()).end()
    assert not await late.end()
    assert await read_state(store, OWNER) == {"by": 3}


async def test_saying_it_again_changes_nothing() -> None:
    store = new_store()
    run = await Run(store, 1).start()
    assert (await run.end(), await run.end()) == (True, True)
    assert await read_memory(store, OWNER) == await read_memory(store, OWNER)
    assert (await read_memory(store, OWNER)).number == 1


async def test_of_runs_at_the_same_time_the_one_that_was_created_last_counts() -> None:
    for order in ((0, 1), (1, 0)):
        store = new_store()
        runs = [await Run(store, created).start() for created in (1, 2)]
        for place in order:
            await runs[place].end()
        assert await read_state(store, OWNER) == {"by": 2}


async def test_what_a_person_sets_or_forgets_comes_behind_all_that_was_there_and_all_that_goes_on() -> None:
    store = new_store()
    before = await Run(store, 1).start()
    assert await write_state(store, OWNER, {"by": "hand"})
    assert not await before.end()
    assert await (await Run(store, 2).start()).end()
    going_on = await Run(store, 3).start()
    assert await remove_state(store, OWNER)
    assert not await going_on.end()
    assert await read_state(store, OWNER) == {}
    assert await (await Run(store, 4).start()).end()
    assert await write_state(store, OWNER, {"by": "hand"}), "who says it now means it"
    assert await read_state(store, OWNER) == {"by": "hand"}


async def test_a_state_that_was_stored_before_states_were_numbered_is_read_and_replaced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = new_store()
    await store.put(OWNER.key(store), b'{"format": 1, "time": "2030-01-01T00:00:00Z", "state": {"n": 1}, "inputs": {}}')
    assert await read_state(store, OWNER) == {"n": 1}
    assert await (await Run(store, 1).start()).end()
    assert await read_state(store, OWNER) == {"by": 1}
    assert not caplog.records


@given(
    created=st.lists(st.integers(0, 1000), min_size=2, max_size=8, unique=True),
    late=st.lists(st.integers(0, 7), max_size=8),
)
async def test_one_after_the_other_the_last_one_always_counts(created: list[int], late: list[int]) -> None:
    """In any order of creation times, and with any publish before resumed again between two of them."""
    store, runs = new_store(), []
    for number, when in enumerate(created):
        for place in late:
            if place < number:
                await runs[place].end()
        runs.append(await Run(store, when).start())
        assert await runs[-1].end()
        assert await read_state(store, OWNER) == {"by": when}
