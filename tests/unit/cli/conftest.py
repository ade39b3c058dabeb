"""The command line against a cluster and a store in memory: see world.py for what is faked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from componentrun.process.kubernetes.resources import STORAGES
from tests.unit.cli.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world() -> Iterator[World]:
    """A namespace with one Storage, the default."""
    made = World()
    made.cluster.add(STORAGES, "main", {"bucket": "tables", "default": True})
    yield made
    made.store.runner.close()
    assert (made.cluster.closings, made.store.closings) == (len(made.asked), len(made.endpoints)), (
        "a command left one open"
    )
