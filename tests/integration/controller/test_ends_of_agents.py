"""Agents with too little memory: the message says that it is not the run's fault, and which limit to raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.controller.conftest import Place

SETTINGS = {"COMPONENTRUN_AGENT_MEMORY_LIMIT": "26Mi", "COMPONENTRUN_AGENT_MEMORY_REQUEST": "16Mi"}
ROWS = f"id,text\n1,{'x' * 12 * 2**20}\n2,row 7\n"
"""With a mapping, stage-in holds several copies of a whole row in memory."""
WRITE = """
import os
with open("/data/out/tables/t.csv", "w") as table:
    table.write("id\\n")
    for _ in range(64):
        table.writelines(f"{os.urandom(1024).hex()}\\n" for _ in range(512))
"""
"""64 MiB that do not compress well, of which agents hold parts in memory."""


def test_stage_in(place: Place) -> None:
    place.tenant.put_table("in.c-main.t", ROWS)
    where = {"column": "text", "operator": "ne", "values": ["row 7"]}
    name = place.run("true", input={"tables": [{"source": "in.c-main.t", "where": where}]})
    status = place.failed(name, "OutOfMemory", "`stage-in`", "platform", "`agents.resources.limits.memory`")
    assert "exitCode" not in status


def test_stage_out(place: Place) -> None:
    table = {"source": "t.csv", "destination": "out.c-main.t"}
    name = place.run(command=["python3", "-c", WRITE], output={"tables": [table]})
    status = place.failed(name, "OutOfMemory", "`stage-out`", "platform", "`agents.resources.limits.memory`")
    assert status["exitCode"] == 0
    assert place.tenant.table("out.c-main.t") is None
