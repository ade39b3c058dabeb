"""In which order, and in which groups, tests are given to processes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dev.check.steps import IN_PROCESSES
from tests import conftest
from tests.conftest import LARGE, pytest_collection_modifyitems

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


@dataclass
class Item:
    """A test with the parts of pytest's own that the order depends on."""

    name: str
    module: str
    scopes: tuple[str, ...] = ("function",)
    is_long: bool = False
    group: str = field(default="")

    @property
    def path(self) -> Path:
        return Path(self.module)

    @property
    def _fixtureinfo(self) -> SimpleNamespace:
        made = {f"fixture{number}": [SimpleNamespace(scope=scope)] for number, scope in enumerate(self.scopes)}
        return SimpleNamespace(name2fixturedefs=made)

    def get_closest_marker(self, name: str) -> object | None:
        return name if name == "long" and self.is_long else None

    def add_marker(self, mark: Any) -> None:
        self.group = mark.mark.args[0]


def ordered(*items: Item) -> list[str]:
    found: list[Any] = list(items)
    pytest_collection_modifyitems(found)
    return [item.name for item in found]


def test_long_tests_come_first_and_large_groups_before_the_rest() -> None:
    many = [Item(f"many{number}", "many.py", ("session", "module")) for number in range(LARGE)]
    few = [Item(f"few{number}", "few.py", ("module",)) for number in range(LARGE - 1)]
    names = ordered(Item("first", "a.py"), *few, *many, Item("last", "z.py", is_long=True))
    assert names == ["last", *(item.name for item in many), "first", *(item.name for item in few)]


def test_only_tests_that_share_a_fixture_of_their_module_are_a_group() -> None:
    alone, shared = Item("alone", "a.py", ("function", "session")), Item("shared", "b.py", ("module",))
    ordered(alone, shared)
    assert (alone.group, shared.group) == ("", "b.py")


def test_each_fixture_of_a_module_is_set_up_once(tmp_path: Path) -> None:
    """With real processes, because pytest-xdist recognises groups by private parts of pytest."""
    modules = [tmp_path / f"test_{name}.py" for name in "abc"]
    for module in modules:
        module.write_text(MODULE)
    arguments = ["-n", "2", *IN_PROCESSES, "-p", conftest.__name__, "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    command = [sys.executable, "-m", "pytest", "-q", *arguments, str(tmp_path)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout
    for module in modules:
        set_up = [line.split() for line in module.with_suffix(".log").read_text().splitlines()]
        assert [parameter for parameter, _ in set_up] == ["first", "second"]
        assert len({process for _, process in set_up}) == 1
