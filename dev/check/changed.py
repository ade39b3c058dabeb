"""Unit tests affected by a change: changed tests, and tests that import a changed module."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ROOT", "affected_tests", "changed_files"]

ROOT: Final = Path(__file__).parents[2]
_SOURCES: Final = "operator/"
_TESTS: Final = "tests/unit"


def changed_files(base: str = "main") -> set[str]:
    """Files changed since this branch left `base`, committed or not, as paths relative to the project root.

    Raises:
        subprocess.CalledProcessError: this is not a git repository, or the branch does not exist.
    """
    merge_base = _git("merge-base", "HEAD", base)[0]
    return {*_git("diff", "--name-only", merge_base), *_git("ls-files", "--others", "--exclude-standard")}


def affected_tests(paths: Iterable[str], root: Path) -> list[str]:
    """Unit tests that changed or import a changed module, as paths relative to the project root."""
    paths = set(paths)
    modules = {name for path in paths if (name := _module(path)) is not None}
    tests = []
    for test in sorted((root / _TESTS).rglob("test_*.py")):
        path = test.relative_to(root).as_posix()
        if path in paths or modules.intersection(_imported(test)):
            tests.append(path)
    return tests


def _git(*arguments: str) -> list[str]:
    result = subprocess.run(("git", *arguments), cwd=ROOT, check=True, capture_output=True, text=True)
    return result.stdout.splitlines()


def _module(path: str) -> str | None:
    """Module name of a path, such as `componentrun.core.lifecycle.plan`. None for files outside the product."""
    if not path.startswith(_SOURCES) or not path.endswith(".py"):
        return None
    return path.removeprefix(_SOURCES).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imported(test: Path) -> Iterator[str]:
    """Modules that a test imports. Names imported from a package are included because they may be modules."""
    for node in ast.walk(ast.parse(test.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
