"""`artifacts`: list, fetch, for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.process.kubernetes.resources import RUNS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.world import World


def attempts(*numbers: int) -> dict[str, Any]:
    return {
        "attempts": [{"number": n, "pod": f"p-{n}", "startTime": "2026-11-24T07:00:00Z"} for n in numbers],
        "storage": "main",
    }


@pytest.fixture
def run(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"}, status=attempts(1, 2))
    world.store.left = {
        (1, "out/result.json"): b"{}",
        (2, "out/usage.json"): b"[]",
        (2, "artifacts/out/current/a"): b"x",
    }


@pytest.mark.usefixtures("run")
def test_the_last_attempts_are_listed(world: World) -> None:
    told = world.run("artifacts", "one").stdout
    assert "artifacts/out/current/a" in told
    assert "result.json" not in told
    assert "out/result.json" in world.run("artifacts", "one", "--attempt", "1").stdout
    listed = json.loads(world.run("artifacts", "one", "-o", "json").stdout)
    assert {"path": "out/usage.json", "size": 2} in listed


@pytest.mark.usefixtures("run")
def test_they_are_fetched_into_a_folder(world: World, tmp_path: Path) -> None:
    assert "2 files" in world.run("artifacts", "one", "--to", str(tmp_path / "new")).stderr
    assert (tmp_path / "new/artifacts/out/current/a").read_bytes() == b"x"


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("path", ["../a", "/etc/a", "a/../../b"])
def test_a_path_that_leads_out_is_refused(world: World, tmp_path: Path, path: str) -> None:
    world.store.left[2, path] = b"x"
    result = world.run("artifacts", "one", "--to", str(tmp_path / "deep/er"))
    assert result.exit_code == 1
    assert "leads out of the folder" in result.stderr


def test_nothing_is_nothing(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    assert "has no artifacts" in world.run("artifacts", "one").stderr
