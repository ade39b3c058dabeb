"""Pages that name other things: tests named in docs/reference exist, and the list of decision records is complete."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {"contract-tests.md": 100, "end-tests.md": 70}
"""And how many tests each names at least."""
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def defined_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def text_of(page: str) -> str:
    return (ROOT / "docs" / "reference" / page).read_text()


@pytest.mark.parametrize(("page", "least"), PAGES.items())
def test_every_test_that_it_names_is_there(page: str, least: int) -> None:
    named = NAMED.findall(text_of(page))
    assert len(named) > least
    files = {file: defined_in(ROOT / file) for file in {file for file, _ in named}}
    assert [f"{file}::{test}" for file, test in named if test not in files[file]] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_line_names_a_test_or_says_why_not(page: str) -> None:
    lines = [line for line in text_of(page).splitlines() if line.startswith("| ")]
    rows = [line for line in lines if not line.startswith(("| Line |", "| Case |", "| --- |"))]
    silent = [row for row in rows if not NAMED.search(row)]
    assert all(row.rstrip(" |").rpartition("| ")[2] for row in silent)
    assert len(silent) < 5, silent


def test_the_list_of_decision_records_has_each_of_them_and_nothing_else() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text())
    assert listed == sorted(path.name for path in folder.glob("0*.md"))
