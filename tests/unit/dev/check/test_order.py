"""In which order, and in which groups, tests are given to processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.conftest import LARGE, pytest_collection_modifyitems


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
