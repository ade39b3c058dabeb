"""The agents against SeaweedFS. Tests in `tests/integration/storage` use the other stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from componentrun.storage.store.settings import StoreSettings
from tests.integration.agent.place import Place, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dev.cluster.stores.seaweedfs import Lake


@pytest.fixture
async def place(lake: Lake, tmp_path: Path) -> AsyncIterator[Place]:
    reached = StoreSettings(
        bucket=lake.bucket,
        endpoint=lake.endpoint,
        region=lake.region,
        access_key=lake.access_key,
        secret_key=lake.secret_key,
    )
    async with opened(reached, tmp_path) as found:
        yield found
