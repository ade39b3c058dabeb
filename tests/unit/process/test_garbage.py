"""What is there when a process has started is not visited by the garbage collector again."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from componentrun.process.garbage import spare_present_objects

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _collector_of_the_tests() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_present_objects_are_spared_and_later_ones_are_collected() -> None:
    present: list[object] = []
    spare_present_objects()
    later: list[object] = []
    collected = gc.get_objects()
    assert not any(item is present for item in collected)
    assert any(item is later for item in collected)


def test_the_youngest_generation_is_collected_less_often() -> None:
    gc.set_threshold(700)
    spare_present_objects()
    assert gc.get_threshold()[0] > 700
