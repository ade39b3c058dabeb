"""A Storage that lives in memory (obstore's MemoryStore): real compare-and-swap, no network, no signatures.

What needs a real store (refusals, grants, concurrency over HTTP) is in tests/integration/storage.
"""

from __future__ import annotations

import pytest
from obstore.store import MemoryStore

from componentrun.storage.store.connection import Store
from componentrun.storage.store.settings import StoreSettings


@pytest.fixture
def store() -> Store:
    settings = StoreSettings(bucket="bucket", endpoint="http://store.test", prefix="team/a", name="main")
    return Store(settings, MemoryStore())
