"""Keeps the operator's estimate of the time up to date, also while it has nothing else to ask the API server.

When to look at a run again is planned in seconds from now. So after a correction of the clock, every run that has not
ended is looked at once more: the timeout of one that runs may be over.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from componentrun.core.lease.clock import SETTLING, TOLERATED
from componentrun.process.kubernetes.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.controller.watching.caches import Key, RunCache
    from componentrun.process.kubernetes.client import Kube

__all__ = ["ClockWatch"]

_log = logging.getLogger(__name__)

_PERIOD_SECONDS: Final = SETTLING / 2
"""Between two requests: two of them settle the first estimate, and later ones let it follow the servers' clocks."""


class ClockWatch:
    """Asks the API server for its time."""

    def __init__(self, kube: Kube, runs: RunCache, look: Callable[[Key], object]) -> None:
        """`look` is called with each run that is to be looked at again."""
        self._kube = kube
        self._runs = runs
        self._look = look

    async def run(self) -> None:
        """Ask for as long as nobody cancels it."""
        ahead = self._kube.clock.ahead
        while True:
            await asyncio.sleep(_PERIOD_SECONDS)
            await self._ask()
            if abs(self._kube.clock.ahead - ahead) > TOLERATED:
                ahead = self._kube.clock.ahead
                self._look_again()

    async def _ask(self) -> None:
        """Any answer tells the time."""
        try:
            await self._kube.request("GET", "/version")
        except KubeError as error:
            _log.debug("the API server was not asked for its time: %s", error.message)

    def _look_again(self) -> None:
        keys = [key for key in self._runs.all_keys() if not self._runs.has_ended(key)]
        _log.info("the clock was corrected; looking at %d runs again", len(keys))
        for key in keys:
            self._look(key)
