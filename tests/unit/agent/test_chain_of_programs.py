"""stage-in, three processors around a component, and the agents between them, as in a pod: one data folder.

The processors are those of the end-to-end cases, run as programs. Left out: containers, and the upload at the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.agent.stagein.main import stage_in
from componentrun.agent.steps.ended import chain_end
from componentrun.agent.steps.main import step
from componentrun.wire.agents import FileRead, ObjectRead, StageInPlan, to_json
from componentrun.wire.chain import StepConfig
from componentrun.wire.grants import GrantIn
from tests.unit.agent.rangeserver import RangeServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = Path(__file__).parents[3] / "e2e" / "components" / "bin"
MOVE = """
import json, os, pathlib
data = pathlib.Path(os.environ["KBC_DATADIR"])
config = json.loads((data / "config.json").read_text())
assert config["parameters"]["#password"] == "hush"
assert json.loads((data / "in/state.json").read_text()) == {"runs": 1}
for source in (data / "in/tables").iterdir():
    source.rename(data / "out/tables" / source.name)
(data / "out/state.json").write_text('{"runs": 2}')
(data / "out/result.json").write_text('{"message": "moved"}')
"""
CONFIG = {"parameters": {"a": 1}, "storage": {}, "image_parameters": {}, "authorization": {}, "action": "run"}


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    umask = os.umask(0o022)
    yield
    os.umask(umask)


def config(**parameters: Any) -> dict[str, Any]:
    return {"parameters": parameters, "image_parameters": {}, "action": "run"}


def planned(*steps: StepConfig) -> StageInPlan:
    return StageInPlan("team/daily", (), CONFIG, {"runs": 1}, steps=steps)


CHAIN = (
    StepConfig("before-1", "add-column", 1000, config(name="before", value="x")),
    StepConfig("before-2", "compress", 1000, config()),
    StepConfig("component", "mover", 1000),
    StepConfig("after-1", "decompress", 1000, config()),
    StepConfig("after-2", "add-column", 1000, config(name="after", value="y")),
)


def staged_in(tmp_path: Path, plan: StageInPlan, *, content: str = "") -> tuple[Path, Path]:
    """The data folder and the agents' volume as stage-in leaves them; `content` is the file `words.csv`."""
    data, chain, served = tmp_path / "data", tmp_path / "chain", tmp_path / "served"
    for folder in (data, chain, served):
        folder.mkdir()
    (served / "words").write_text(content)
    with RangeServer(served) as store:
        if content:
            part = ObjectRead(store.url("words"), len(content), "")
            plan = replace(plan, files=(FileRead("words", "in/tables/words.csv", (part,), None),))
        (served / "plan").write_text(to_json(plan))
        grant = GrantIn(store.url("plan"), {"#password": "hush"})
        assert stage_in(grant, str(data), chain=str(chain)).ok
    return data, chain


def run(command: list[str], data: Path) -> str:
    env = {"KBC_DATADIR": f"{data}/", "KBC_COMPONENTID": "x", "PATH": os.environ["PATH"]}
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_table_has_passed_through_all_of_them(tmp_path: Path) -> None:
    data, chain = staged_in(tmp_path, planned(*CHAIN), content="id,text\n1,a\n2,b\n")
    printed = []
    for number, each in enumerate(CHAIN):
        if number:
            assert step(each.name, str(data), str(chain)).ok
        program = str(PROGRAMS / f"processor-{each.component}")
        printed.append(run([sys.executable, *(["-c", MOVE] if each.config is None else [program])], data))
    assert (data / "out/tables/words.csv").read_text() == "id,text,before,after\n1,a,x,y\n2,b,x,y\n"
    assert [path.name for path in (data / "out/tables").iterdir()] == ["words.csv"]

    # No processor has seen the component's configuration, state or secrets.
    found = [json.loads(line) for text in printed for line in text.splitlines() if line.startswith("{")]
    assert [item["config"] for item in found] == [["action", "image_parameters", "parameters"]] * 2
    assert [item["state"] for item in found] == [False, False]
    assert "hush" not in "".join(printed)

    end = chain_end(str(data), str(chain))
    assert end.warnings == ()
    assert json.loads(Path(end.kept, "out/state.json").read_text()) == {"runs": 2}
    assert json.loads(Path(end.kept, "out/result.json").read_text()) == {"message": "moved"}


def test_a_processor_comes_first_so_the_component_has_nothing_there_yet(tmp_path: Path) -> None:
    data, chain = staged_in(tmp_path, planned(*CHAIN))
    assert json.loads((data / "config.json").read_text()) == CHAIN[0].config
    assert not (data / "in/state.json").exists()
    assert "hush" not in "".join(path.read_text() for path in data.rglob("*") if path.is_file())
    kept = json.loads((chain / "config/component.json").read_text())
    assert kept["parameters"] == {"a": 1, "#password": "hush"}


def test_the_component_comes_first_and_finds_what_it_always_does(tmp_path: Path) -> None:
    data, chain = staged_in(tmp_path, planned(*CHAIN[2:]))
    assert json.loads((data / "config.json").read_text())["parameters"] == {"a": 1, "#password": "hush"}
    assert json.loads((data / "in/state.json").read_text()) == {"runs": 1}
    assert not (chain / "config/component.json").exists()
    assert "hush" not in "".join(path.read_text() for path in chain.rglob("*") if path.is_file() and path.name != "x")


def test_without_processors_nothing_is_left_for_other_agents(tmp_path: Path) -> None:
    data, chain = staged_in(tmp_path, planned())
    assert list(chain.iterdir()) == []
    assert (data / "config.json").stat().st_mode & 0o777 == 0o600
    assert (data / "out/tables").stat().st_mode & 0o777 == 0o755


def test_if_a_step_has_another_user_the_group_may_change_what_stage_in_made(tmp_path: Path) -> None:
    steps = (replace(CHAIN[0], user_id=2000), CHAIN[2])
    data, _ = staged_in(tmp_path, planned(*steps), content="a\n1\n")
    assert (data / "in/tables/words.csv").stat().st_mode & 0o060 == 0o060
    assert (data / "artifacts/out/current").stat().st_mode & 0o070 == 0o070
