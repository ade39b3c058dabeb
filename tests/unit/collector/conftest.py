"""What tests of a run's worker share."""

from __future__ import annotations

import pytest

from componentrun.collector.events import merger, writer
from componentrun.collector.runs import secret as runsecret
from componentrun.collector.runs import worker


@pytest.fixture(autouse=True)
def _lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are deleted at once, and every write is checked, as if every pause were long."""
    monkeypatch.setattr(merger, "LEASE_SECONDS", 0.0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that lingers nowhere."""
    monkeypatch.setattr(worker, "_LINGER", 0.0)
    monkeypatch.setattr(worker, "_TICK", 0.02)
    monkeypatch.setattr(worker, "_REPORT_PAUSE", 0.001)
    monkeypatch.setattr(writer, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(runsecret, "_FIRST_PAUSE", 0.001)
