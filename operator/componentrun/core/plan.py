"""What to do about a run: a pure function of what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from componentrun.core.actions import Plan
    from componentrun.core.observed import Observed

__all__ = ["plan"]


def plan(observed: Observed) -> Plan:
    """What to do now, and when to look again. Level-triggered: it may be asked at any time, and its actions repeated."""
    raise NotImplementedError
