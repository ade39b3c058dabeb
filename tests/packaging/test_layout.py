"""The repository's own shape."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ROOT / "operator" / "componentrun"
LISTED = sorted(
    path.parent.relative_to(PRODUCT).as_posix()
    for path in PRODUCT.rglob("__init__.py")
    if "lowest first:\n" in path.read_text()
)
"""Packages that say in their docstrings what each module is for."""
MOST_MODULES = 15


def test_the_operator_folder_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


@pytest.mark.parametrize("package", LISTED)
def test_a_list_of_modules_has_each_of_them_and_nothing_else(package: str) -> None:
    folder = PRODUCT / package
    told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    listed = "\n".join(line for line in told.splitlines() if line.startswith("    "))
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    assert {name for name in modules if re.search(rf"\b{name}\b", listed) is None} == set()
    first = {name for names in re.findall(r"^    (\w+(?:, \w+)*)", listed, re.MULTILINE) for name in names.split(", ")}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert first - modules - packages == set(), "these are not there any more"


def test_each_package_of_several_modules_lists_them() -> None:
    assert len(LISTED) > 40


@pytest.mark.parametrize("package", sorted({path.parent for path in PRODUCT.rglob("*.py")}), ids=lambda path: path.name)
def test_no_folder_has_more_modules_than_one_looks_over(package: Path) -> None:
    assert len([path for path in package.glob("*.py") if path.stem != "__init__"]) <= MOST_MODULES
