"""Maintenance on the real cluster merges the small files of many loads while runs load the same table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from e2e.cases.rounds import maintain, no_other_round

if TYPE_CHECKING:
    from e2e.tenant import Tenant

TABLE = "out.c-main.grows"
LOADS = 9
"""One more than the default number of files for a rewrite."""


def load(tenant: Tenant) -> None:
    """Make many small loads."""
    for number in range(LOADS):
        result = tenant.cli("table", "put", "-", TABLE, "--incremental", text=f"id,text\nn{number},load {number}\n")
        assert result.returncode == 0, result.stderr


def data_files(tenant: Tenant) -> int:
    """Number of the table's data files."""
    output = tenant.cli("table", "info", TABLE).stdout
    match = re.search(r"in (\d+) data files?", output)
    assert match is not None, output
    return int(match[1])


def test_a_table_of_many_loads_is_rewritten_while_runs_load_it(tenant: Tenant, components: str) -> None:
    mapping = {"source": "result.csv", "destination": TABLE, "incremental": True}
    with no_other_round(tenant):
        load(tenant)
        assert data_files(tenant) == LOADS
        runs = [tenant.run(components, "rows", "2", output={"tables": [mapping]}) for _ in range(3)]
        log = maintain(tenant)
    for run in runs:
        assert tenant.wait(run)["status"]["phase"] == "Succeeded"
    assert re.search(rf"Storage {tenant.namespace}/main: table \S*out_c_main\.grows: \d+ files .* became 1 ", log)
    assert data_files(tenant) <= 1 + len(runs)
    table = tenant.table(TABLE)
    assert table is not None
    names = sorted(line.split(",")[0] for line in table.splitlines()[1:])
    assert names == sorted([*(f"n{number}" for number in range(LOADS)), *["1", "2"] * len(runs)])
    result = tenant.cli("storage", "sweep", "--dry-run")
    assert result.returncode == 0, result
    assert "would be deleted from Storage" in result.stderr
