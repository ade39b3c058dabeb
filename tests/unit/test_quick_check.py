"""Which unit tests `make quick` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.check.changed import affected_tests
from e2e.check.steps import quick_steps

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tests/unit/core"
    folder.mkdir(parents=True)
    (folder / "test_plan.py").write_text("from componentrun.core.lifecycle.plan import plan\n")
    (folder / "test_package.py").write_text("def test():\n    from componentrun.core import plan\n")
    (folder / "test_other.py").write_text("import componentrun.core.planning\n")
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["operator/componentrun/core/lifecycle/plan.py"], ["test_package.py", "test_plan.py"]),
        (["operator/componentrun/core/planning.py"], ["test_other.py"]),
        (["operator/componentrun/core/__init__.py"], ["test_package.py"]),
        (["tests/unit/core/test_other.py"], ["test_other.py"]),
        (["docs/queue.md", "operator/componentrun/core/plan.json"], []),
    ],
)
def test_those_that_changed_or_import_what_changed(tree: Path, changed: list[str], expected: list[str]) -> None:
    assert affected_tests(changed, tree) == [f"tests/unit/core/{name}" for name in expected]


def test_without_tests_only_lint_is_run() -> None:
    assert {step.group for step in quick_steps([])} == {"lint"}
    assert quick_steps(["tests/unit/test_a.py"])[-1].command[-1] == "tests/unit/test_a.py"
