"""Processors written with keboola-component, the most common library of processors, around a component.

As in test_chain_of_programs, the programs run with the agents between them over one data folder, without containers.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from componentrun.agent.steps.main import step
from componentrun.wire.chain import StepConfig
from tests.unit.agent.test_chain_of_programs import MOVE, config, planned, run, staged_in

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = Path(__file__).parents[3] / "e2e" / "components" / "with_client"
CHAIN = (
    StepConfig("before-1", "filter", 1000, config(column="text", **{"#value": "a"})),
    StepConfig("component", "mover", 1000),
    StepConfig("after-1", "rename", 1000, config(name="letters.csv")),
)


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    umask = os.umask(0o022)
    yield
    os.umask(umask)


def test_they_read_and_write_tables_with_manifests_before_and_after_a_component(tmp_path: Path) -> None:
    data, chain = staged_in(tmp_path, planned(*CHAIN), content="id,text\n1,a\n2,b\n3,a\n")
    printed = []
    programs = [
        ["-c", MOVE] if not name else [str(PROGRAMS / name)] for name in ("filter_rows.py", "", "rename_table.py")
    ]
    for each, program in zip(CHAIN, programs, strict=True):
        if each.name != "before-1":
            assert step(each.name, str(data), str(chain)).ok
        printed.append(run([sys.executable, "-W", "ignore", *program], data))
    assert (data / "out/tables/letters.csv").read_text() == "1,a\n3,a\n"
    manifest = json.loads((data / "out/tables/letters.csv.manifest").read_text())
    assert [column["name"] for column in manifest["schema"]] == ["id", "text"]
    assert [column["name"] for column in manifest["schema"] if column.get("primary_key")] == ["id"]
    # A processor finds no `storage`, no `authorization` and no state, and the library makes do with that.
    assert "found ['action', 'image_parameters', 'parameters'] and the state {} as x" in printed[2]
