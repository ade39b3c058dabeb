"""What tests of forwarding share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.collector.forward.receiver import Answering

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def receiver() -> AsyncIterator[Answering]:
    answering = Answering()
    await answering.start()
    yield answering
    await answering.stop()
