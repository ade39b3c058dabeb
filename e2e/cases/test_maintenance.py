"""Maintenance on the real cluster: a table of many loads becomes one of few segments while runs load it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from componentrun.storage.layout import TableId
from componentrun.storage.tables import need_table
from componentrun.storage.upload import upload_table
from e2e.cases.rounds import maintain, no_other_round

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.storage.pointer import Pointer
    from e2e.tenant import Tenant

TABLE = TableId.parse("out.c-main.grows")
LOADS = 60


def load(tenant: Tenant, folder: Path, loads: int) -> None:
    """Many small loads, with a primary key; half of them replace a row."""

    async def load_all() -> None:
        for number in range(loads):
            path = folder / f"{number}.csv"
            path.write_text(f"id,text\nn{number // 2},load {number}\n")
            await upload_table(tenant.store, path, TABLE, primary_key=("id",) if number == 0 else (), incremental=True)

    asyncio.run(load_all())


def pointer(tenant: Tenant) -> Pointer:
    return asyncio.run(need_table(tenant.store, TABLE)).pointer


def test_a_table_of_many_loads_is_compacted_while_runs_load_it(tenant: Tenant, components: str, tmp_path: Path) -> None:
    mapping = {"source": "result.csv", "destination": str(TABLE), "incremental": True}
    with no_other_round(tenant):
        load(tenant, tmp_path, LOADS)
        assert len(pointer(tenant).segments) == LOADS
        runs = [tenant.run(components, "rows", "2", output={"tables": [mapping]}) for _ in range(3)]
        logged = maintain(tenant)
    for run in runs:
        assert tenant.wait(run)["status"]["phase"] == "Succeeded"
    assert f"{TABLE} compacted" in logged, logged
    assert f"Storage {tenant.namespace}/" in logged
    found = pointer(tenant)
    assert found.segments[0].origins
    assert len(found.segments) <= 1 + len(runs)
    table = tenant.table(str(TABLE))
    assert table is not None
    names = sorted(line.split(",")[0] for line in table.splitlines()[1:])
    assert names == sorted([*(f"n{number}" for number in range(LOADS // 2)), "1", "2"])
    assert f"n0,load {1}" in table


def test_the_command_line_says_what_would_be_done_and_does_it(tenant: Tenant, tmp_path: Path) -> None:
    load(tenant, tmp_path, 6)
    before = tenant.table(str(TABLE))
    dry = tenant.cli("table", "compact", str(TABLE), "--dry-run")
    assert "6 segments" in dry.stderr, dry
    assert len(pointer(tenant).segments) == 6
    done = tenant.cli("table", "compact", str(TABLE))
    assert (done.returncode, len(pointer(tenant).segments)) == (0, 1), done
    assert tenant.table(str(TABLE)) == before
    swept = tenant.cli("storage", "sweep", "--dry-run")
    assert swept.returncode == 0, swept
    assert "would be deleted from Storage" in swept.stderr
