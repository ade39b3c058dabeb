"""Processors written with keboola-component, the most common library of processors, around a component.

As in test_chain_of_programs, the programs run with the agents between them over one data folder, without containers.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from componentrun.agent.steps.main import step
from componentrun.wire.chain import StepConfig
from tests.unit.agent.test_chain_of_programs import MOVE, config, planned, run, staged_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREPARE = """
import csv, sys
from keboola.component.base import ComponentBase

class Filter(ComponentBase):
    # Keeps rows with a value, and describes the table in a manifest.
    def run(self):
        parameters = self.configuration.parameters
        for table in self.get_input_tables_definitions():
            out = self.create_out_table_definition(table.name, primary_key=["id"], schema=["id", "text"])
            with open(table.full_path, newline="") as source, open(out.full_path, "w", newline="") as target:
                rows = [row for row in csv.DictReader(source) if row[parameters["column"]] == parameters["#value"]]
                csv.DictWriter(target, ["id", "text"], lineterminator="\\n").writerows(rows)
            self.write_manifest(out)

if __name__ == "__main__":
    Filter().execute_action()
"""
RENAME = """
import shutil, sys
from keboola.component.base import ComponentBase

class Rename(ComponentBase):
    # Copies tables and manifests under another name.
    def run(self):
        new = self.configuration.parameters["name"]
        (table,) = self.get_input_tables_definitions()
        print(sorted(self.configuration.config_data), self.get_state_file(), self.environment_variables.component_id)
        out = self.create_out_table_definition(new)
        shutil.copy(table.full_path, out.full_path)
        table._name, table.full_path = new, out.full_path
        self.write_manifest(table)

if __name__ == "__main__":
    Rename().execute_action()
"""
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
    for each, program in zip(CHAIN, (PREPARE, MOVE, RENAME), strict=True):
        if each.name != "before-1":
            assert step(each.name, str(data), str(chain)).ok
        printed.append(run([sys.executable, "-W", "ignore", "-c", program], data))
    assert (data / "out/tables/letters.csv").read_text() == "1,a\n3,a\n"
    manifest = json.loads((data / "out/tables/letters.csv.manifest").read_text())
    assert [column["name"] for column in manifest["schema"]] == ["id", "text"]
    assert [column["name"] for column in manifest["schema"] if column.get("primary_key")] == ["id"]
    # A processor finds no `storage`, no `authorization` and no state, and the library makes do with that.
    assert "['action', 'image_parameters', 'parameters'] {} x" in printed[2]
