"""From loads to the component's files: real loader, catalog and store, the operator's plan and stage-in."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.agent.stagein.main import stage_in
from componentrun.loader.reading.scanning import consistent_cut
from componentrun.storage.access.attempt import AttemptRequest, InputSource
from componentrun.storage.access.grants import Signer
from componentrun.storage.access.plans import prepare_attempt
from componentrun.storage.access.reading import Wish
from componentrun.storage.state.adaptive import read_seen
from componentrun.storage.store.connection import open_store
from componentrun.wire.agents import Where
from componentrun.wire.loader import PlanAnswer
from tests.integration.loader.staging import Bench

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from componentrun.storage.access.plans import AttemptPlan
    from componentrun.storage.state.adaptive import Seen
    from tests.integration.lake_space import LakeSpace

pytestmark = pytest.mark.store
A, B = "out.c-main.a", "out.c-main.b"
HOUR = timedelta(hours=1)


@pytest.fixture
def bench(lake_space: LakeSpace, tmp_path: Path) -> Bench:
    return Bench(lake_space, tmp_path)


def brought(bench: Bench, data: Path, run: str, *inputs: InputSource) -> tuple[AttemptPlan, Any]:
    """Prepare an attempt like the operator, and run stage-in."""

    async def scan(tables: Sequence[str]) -> PlanAnswer:
        found, missing = await asyncio.to_thread(consistent_cut, bench.catalog, tables)
        return PlanAnswer(tuple(found), tuple(missing))

    async def prepare() -> AttemptPlan:
        request = AttemptRequest(run, "ns/run", 1, HOUR, HOUR, inputs, config={"parameters": {}})
        return await prepare_attempt(open_store(bench.settings), Signer(bench.settings), request, scan)

    plan = asyncio.run(prepare())
    data.mkdir()
    return plan, stage_in(plan.grant_in, str(data))


def seen(bench: Bench, run: str) -> dict[str, Seen]:
    return asyncio.run(read_seen(open_store(bench.settings), run, 1))


def test_a_run_reads_what_others_have_loaded(bench: Bench, tmp_path: Path) -> None:
    first, second = bench.new_run(), bench.new_run()
    awkward = [["1", 'q"\n,'], ["2", ""], ["3", "\r\n"], ["4", "\ufeffž"]]
    bench.load(first, bench.table(first, A, ["id", "v"], awkward, key=["id"]), bench.table(first, B, ["id"], []))
    later = bench.table(second, A, ["id", "v", "new"], [["2", "", "n"], ["5", "", "m"]], key=["id"], incremental=True)
    bench.load(second, later)
    some = Wish(columns=("new", "id"), where=Where("id", "ge", ("3",), "number"))
    plan, result = brought(
        bench,
        tmp_path / "data",
        bench.new_run(),
        InputSource(table=A),
        InputSource(table=A, destination="some.csv", wish=some),
        InputSource(table=B, sliced=True),
    )
    folder = tmp_path / "data/in/tables"
    assert (folder / "a.csv").read_bytes().decode() == ('id,v,new\n1,"q""\n,",\n3,"\r\n",\n4,\ufeffž,\n2,,n\n5,,m\n'), (
        "the second load replaced the row with the key 2"
    )
    assert (folder / "some.csv").read_text() == "new,id\n,3\n,4\nm,5\n"
    assert list((folder / "b.csv").iterdir()) == []
    manifest = json.loads((folder / "a.csv.manifest").read_text())
    assert (manifest["id"], manifest["columns"], manifest["primary_key"]) == (A, ["id", "v", "new"], ["id"])
    assert (result.tables, result.rows) == (3, 8)
    assert [item.source for item in plan.inputs] == [A, A, B]


def test_what_is_new_for_a_configuration_is_what_came_after_it_looked(bench: Bench, tmp_path: Path) -> None:
    first, second, reader = bench.new_run(), bench.new_run(), bench.new_run()
    bench.load(first, bench.table(first, A, ["id"], [["1"], ["2"]]))
    brought(bench, tmp_path / "one", reader, InputSource(table=A, remember=True))
    assert (tmp_path / "one/in/tables/a.csv").read_text() == "id\n1\n2\n"
    bench.load(second, bench.table(second, A, ["id"], [["3"]], incremental=True))
    new = InputSource(table=A, wish=Wish(seen=seen(bench, reader)[A]), remember=True)
    again = bench.new_run()
    brought(bench, tmp_path / "two", again, new)
    assert (tmp_path / "two/in/tables/a.csv").read_text() == "id\n3\n"
    nothing = InputSource(table=A, wish=Wish(seen=seen(bench, again)[A]), remember=True)
    brought(bench, tmp_path / "three", bench.new_run(), nothing)
    assert (tmp_path / "three/in/tables/a.csv").read_text() == "id\n"
