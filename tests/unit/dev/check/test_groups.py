"""Tests that share a fixture of their module run in one process (steps.IN_PROCESSES, tests/conftest.py)."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from dev.check.steps import IN_PROCESSES
from tests import conftest

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="module", params=["first", "second"])
def shared(request):
    with Path(__file__).with_suffix(".log").open("a") as log:
        log.write(f"{request.param} {os.getpid()}\\n")


@pytest.mark.parametrize("number", range(4))
def test_uses_it(shared, number):
    pass
"""
MODULES = 3


def test_a_fixture_of_a_module_is_set_up_once(tmp_path: Path) -> None:
    for number in range(MODULES):
        (tmp_path / f"test_{number}.py").write_text(MODULE)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *IN_PROCESSES]
    plugins = ["-p", conftest.__name__, "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path)]
    subprocess.run([*command, *plugins], check=True, capture_output=True, text=True)
    for log in tmp_path.glob("*.log"):
        (first, process), (second, same) = (line.split() for line in log.read_text().splitlines())
        assert ((first, second), process) == (("first", "second"), same)
    assert len(list(tmp_path.glob("*.log"))) == MODULES
