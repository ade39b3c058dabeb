"""`changedSince: adaptive`: whatever is loaded and however runs end, every row is delivered to one successful run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from componentrun.storage.access.attempt import AttemptRequest, InputSource
from componentrun.storage.access.grants import Signer
from componentrun.storage.access.plans import prepare_attempt, read_state_given
from componentrun.storage.access.reading import Wish
from componentrun.storage.state.adaptive import Seen, read_seen
from componentrun.storage.state.state import Author, Memory, StateOwner, read_memory, remove_state, write_state
from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings
from componentrun.wire.agents import StageInPlan, from_json
from componentrun.wire.loader import PlanAnswer, ScanColumn, ScanFile, TableScan

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE = "in.c-main.foo"
OWNER = StateOwner("ex", "12")
START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = StoreSettings(
    bucket="bucket", endpoint="http://store.test", access_key="key", secret_key="secret", name="main"
)


@dataclass
class Catalog:
    """One table as the loader tells of it: each load is a file, and all of its rows have one `_timestamp`."""

    uuid: str = "table-1"
    loads: list[tuple[int, list[str]]] = field(default_factory=list)
    """`_timestamp` and rows."""
    timestamp: int = 0
    """The last one that was given away."""

    def load(self, rows: list[str], *, incremental: bool = True) -> None:
        self.timestamp += 1
        self.loads = [*(self.loads if incremental else []), (self.timestamp, rows)]

    async def scan(self, _: Sequence[str]) -> PlanAnswer:
        files = [ScanFile(f"s3://lake/{stamp}.parquet", 10, len(rows)) for stamp, rows in self.loads]
        scan = TableScan(
            table=TABLE,
            snapshot=str(self.timestamp),
            columns=(ScanColumn("a", 1, "string"),),
            timestamp_id=2,
            files=tuple(files),
            deletes=(),
            created=START.isoformat(),
            last_change=START.isoformat(),
            timestamp=self.timestamp,
            uuid=self.uuid,
            rows=sum(len(rows) for _, rows in self.loads),
        )
        return PlanAnswer((scan,))

    def read(self, path: str, after: int | None) -> list[str]:
        """What stage-in delivers of a file."""
        stamp = int(path.rpartition("/")[2].removesuffix(".parquet"))
        return [row for at, rows in self.loads if at == stamp and at > (after or 0) for row in rows]


@dataclass
class Story:
    """One configuration and one table, in the words of the people who use them."""

    store: Store = field(default_factory=lambda: Store(SETTINGS, MemoryStore()))
    catalog: Catalog = field(default_factory=Catalog)
    delivered: list[str] = field(default_factory=list)
    """To runs that succeeded."""
    loaded: list[str] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def load(self, rows: int = 1, *, incremental: bool = True) -> list[str]:
        number = next(self.numbers)
        values = [f"load-{number}-{row}" for row in range(rows)]
        self.catalog.load(values, incremental=incremental)
        self.loaded += values
        return values

    async def start(self, run: str, *inputs: InputSource) -> list[list[str]]:
        """What the attempt finds in each of its inputs."""
        memory = await read_memory(self.store, OWNER)
        seen = memory.inputs.get(TABLE)
        request = AttemptRequest(
            run=run,
            title="ns/run",
            attempt=1,
            expires_in=timedelta(hours=1),
            expires_out=timedelta(hours=1),
            inputs=inputs or (InputSource(TABLE, wish=Wish(seen=seen), remember=True),),
            state_number=memory.number,
        )
        await prepare_attempt(self.store, Signer(SETTINGS), request, self.catalog.scan)
        return await self.planned(run)

    async def planned(self, run: str) -> list[list[str]]:
        stored = await self.store.get(self.store.layout.stage_in_plan(run, 1))
        plan = from_json(StageInPlan, stored.data)
        return [
            [row for file in table.parquet.files for row in self.catalog.read(file.path, table.parquet.after)]
            for table in plan.tables
        ]

    async def end(self, run: str, at: int, state: dict[str, int] | None = None) -> None:
        """It succeeds, and its tables are published."""
        inputs = await read_seen(self.store, run, 1)
        author = Author(run, START + timedelta(seconds=at), await read_state_given(self.store, run, 1))
        await write_state(self.store, OWNER, state, inputs=inputs, author=author)

    async def run(self, *, ok: bool = True, before: Sequence[int] = ()) -> list[str]:
        """One run; `before` its pod is there, the operator is interrupted, and tables are loaded."""
        number = next(self.numbers)
        run = f"run-{number}"
        (found,) = await self.start(run)
        for rows in before:
            self.load(rows)
            (found,) = await self.start(run)
        if ok:
            await self.end(run, number)
            self.delivered += found
        return found


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("load"), st.integers(0, 3)),
        st.tuples(st.just("run"), st.booleans()),
        st.tuples(st.just("again"), st.integers(0, 2)),
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(STEPS)
async def test_every_row_comes_to_one_successful_run(steps: Sequence[tuple[str, int | bool]]) -> None:
    story, twice = Story(), False
    story.load()
    for what, detail in steps:
        if what == "load":
            story.load(int(detail))
        elif what == "run":
            await story.run(ok=bool(detail))
        else:
            await story.run(before=[int(detail)])
            twice = twice or bool(detail)
    await story.run()
    assert set(story.delivered) == set(story.loaded)
    if not twice:
        assert sorted(story.delivered) == sorted(story.loaded)


async def test_what_came_while_a_run_was_under_way_comes_to_the_next_one() -> None:
    story = Story()
    first = story.load()
    assert await story.start("a") == [first]
    second = story.load()
    await story.end("a", 1)
    assert await story.run() == second
    assert await story.run() == []


async def test_a_full_load_makes_all_rows_new() -> None:
    story = Story()
    story.load(2)
    await story.run()
    rows = story.load(3, incremental=False)
    assert await story.run() == rows


async def test_a_table_that_was_dropped_and_made_again_comes_whole() -> None:
    story = Story()
    for _ in range(3):
        story.load()
    await story.run()
    story.catalog = Catalog("table-2")
    rows = [row for _ in range(4) for row in story.load()]
    assert await story.run() == rows, "whatever its timestamps are by now"


async def test_a_table_that_was_put_back_by_hand_comes_whole() -> None:
    story = Story()
    rows = story.load()
    before = Catalog(loads=list(story.catalog.loads), timestamp=story.catalog.timestamp)
    story.load()
    await story.run()
    story.catalog = before
    assert await story.run() == rows


async def test_inputs_of_one_table_are_of_one_version_and_what_a_limit_held_back_stays_new() -> None:
    story = Story()
    rows = story.load(2)
    story.load()
    limited = InputSource(TABLE, destination="some.csv", wish=Wish(limit=1))
    assert await story.start("a", limited) == [rows], "the first file holds enough rows"
    assert await read_seen(story.store, "a", 1) == {}
    whole = InputSource(TABLE, remember=True)
    assert await story.start("b", limited, whole) == [rows, story.loaded]
    assert (await read_seen(story.store, "b", 1))[TABLE].timestamp == 2


async def test_the_component_s_state_and_what_was_seen_leave_each_other_alone() -> None:
    story = Story()
    story.load()
    (_,) = await story.start("a")
    await story.end("a", 1, {"n": 1})
    story.load()
    (_,) = await story.start("b")
    await story.end("b", 2)
    seen = Seen(created=START, uuid="table-1", timestamp=2)
    assert await read_memory(story.store, OWNER) == Memory({"n": 1}, {TABLE: seen}, 2)
    await write_state(story.store, OWNER, {"n": 2}, author=Author("c", START, given=2))
    assert await read_memory(story.store, OWNER) == Memory({"n": 2}, {TABLE: seen}, 3)
    assert await remove_state(story.store, OWNER)
    assert await read_memory(story.store, OWNER) == Memory(number=4)
    assert not await remove_state(story.store, OWNER)
    assert await story.run() == story.loaded, "as the first run"


@pytest.mark.parametrize(("first", "second", "kept"), [(3, 5, 5), (5, 3, 5)])
async def test_of_two_runs_at_once_the_one_that_saw_more_counts(first: int, second: int, kept: int) -> None:
    store = Story().store
    for at, timestamp in enumerate((first, second)):
        inputs = {TABLE: Seen(created=START, uuid="table-1", timestamp=timestamp)}
        author = Author(f"run-{at}", START + timedelta(seconds=at), given=0)
        assert await write_state(store, OWNER, None, inputs=inputs, author=author)
    assert (await read_memory(store, OWNER)).inputs[TABLE].timestamp == kept
    other = {TABLE: Seen(created=START + timedelta(1), uuid="table-2", timestamp=1)}
    assert await write_state(store, OWNER, None, inputs=other)
    assert (await read_memory(store, OWNER)).inputs == other


async def test_a_configuration_remembers_no_more_tables_than_a_run_may_read() -> None:
    store, seen = Story().store, Seen(created=START, uuid="table-1", timestamp=1)
    many = {f"in.c-main.t{i}": seen for i in range(1000)}
    await write_state(store, OWNER, None, inputs=many)
    await write_state(store, OWNER, None, inputs={"in.c-main.new": seen, "in.c-main.t0": seen})
    known = (await read_memory(store, OWNER)).inputs
    assert (len(known), "in.c-main.t0" in known, "in.c-main.new" in known) == (1000, True, True)
    assert "in.c-main.t1" not in known
