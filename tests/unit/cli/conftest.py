"""The command line against a cluster and a store in memory: see world.py for what is faked."""

from __future__ import annotations

import pytest

from componentrun.cli.kubernetes.cluster import STORAGES
from tests.unit.cli.world import World


@pytest.fixture
def world() -> World:
    """A namespace with one Storage, the default."""
    made = World()
    made.cluster.add(STORAGES, "main", {"bucket": "tables", "default": True})
    return made
