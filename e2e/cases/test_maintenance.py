"""Maintenance on the real cluster: the small files of many loads become few while runs load the same table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from e2e.cases.rounds import maintain, no_other_round

if TYPE_CHECKING:
    from e2e.tenant import Tenant

TABLE = "out.c-main.grows"
LOADS = 9
"""One more than the files that are rewritten by default."""


def load(tenant: Tenant) -> None:
    """Many small loads."""
    for number in range(LOADS):
        done = tenant.cli("table", "put", "-", TABLE, "--incremental", text=f"id,text\nn{number},load {number}\n")
        assert done.returncode == 0, done.stderr


def data_files(tenant: Tenant) -> int:
    """Files that the rows of the table are in."""
    told = tenant.cli("table", "info", TABLE).stdout
    found = re.search(r"in (\d+) data files?", told)
    assert found is not None, told
    return int(found[1])


def test_a_table_of_many_loads_is_rewritten_while_runs_load_it(tenant: Tenant, components: str) -> None:
    mapping = {"source": "result.csv", "destination": TABLE, "incremental": True}
    with no_other_round(tenant):
        load(tenant)
        assert data_files(tenant) == LOADS
        runs = [tenant.run(components, "rows", "2", output={"tables": [mapping]}) for _ in range(3)]
        logged = maintain(tenant)
    for run in runs:
        assert tenant.wait(run)["status"]["phase"] == "Succeeded"
    assert re.search(rf"Storage {tenant.namespace}/main: table \S*out_c_main\.grows: \d+ files .* became 1 ", logged)
    assert data_files(tenant) <= 1 + len(runs)
    table = tenant.table(TABLE)
    assert table is not None
    names = sorted(line.split(",")[0] for line in table.splitlines()[1:])
    assert names == sorted([*(f"n{number}" for number in range(LOADS)), *["1", "2"] * len(runs)])
    swept = tenant.cli("storage", "sweep", "--dry-run")
    assert swept.returncode == 0, swept
    assert "would be deleted from Storage" in swept.stderr
