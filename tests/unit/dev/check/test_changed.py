"""Which unit tests `make quick` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev.check.changed import affected_tests
from dev.check.steps import quick_steps

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tests/unit/core"
    folder.mkdir(parents=True)
    (folder / "test_red.py").write_text("from componentrun.pens.red import dip\n")
    (folder / "test_package.py").write_text("def test():\n    from componentrun.pens import red\n")
    (folder / "test_other.py").write_text("import componentrun.pens.redder\n")
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["operator/componentrun/pens/red.py"], ["test_package.py", "test_red.py"]),
        (["operator/componentrun/pens/redder.py"], ["test_other.py"]),
        (["operator/componentrun/pens/__init__.py"], ["test_package.py"]),
        (["tests/unit/core/test_other.py"], ["test_other.py"]),
        (["docs/queue.md", "operator/componentrun/pens/red.json"], []),
    ],
)
def test_those_that_changed_or_import_what_changed(tree: Path, changed: list[str], expected: list[str]) -> None:
    assert affected_tests(changed, tree) == [f"tests/unit/core/{name}" for name in expected]


def test_without_tests_only_lint_is_run() -> None:
    assert {step.group for step in quick_steps([])} == {"lint"}
    assert quick_steps(["tests/unit/test_a.py"])[-1].command[-1] == "tests/unit/test_a.py"
