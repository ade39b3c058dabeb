"""docs/reference/contract-tests.md names tests: each must be there, or a line of the contract is held by nothing."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "contract-tests.md"
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def defined_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_it_names_is_there() -> None:
    named = NAMED.findall(PAGE.read_text())
    assert len(named) > 100
    files = {file: defined_in(ROOT / file) for file in {file for file, _ in named}}
    assert [f"{file}::{test}" for file, test in named if test not in files[file]] == []


def test_every_line_names_a_test_or_says_why_not() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [line for line in lines if not line.startswith(("| Line |", "| --- |"))]
    silent = [row for row in rows if not NAMED.search(row)]
    assert all(row.rstrip(" |").rpartition("| ")[2] for row in silent)
    assert len(silent) < 5, silent
