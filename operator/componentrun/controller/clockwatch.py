"""Keeps the operator's estimate of the API server's time up to date while it sends no other requests.

Reconciles are scheduled relative to the current time. So after a correction of the clock, every run that has not
ended is reconciled: a run may have exceeded its timeout.
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
"""Seconds between requests: the first two settle the estimate, later ones correct it."""


class ClockWatch:
    """Requests the API server's time at an interval."""

    def __init__(self, kube: Kube, runs: RunCache, look: Callable[[Key], object]) -> None:
        """`look` is called with each run to reconcile."""
        self._kube = kube
        self._runs = runs
        self._look = look

    async def run(self) -> None:
        """Send requests until cancelled."""
        ahead = self._kube.clock.ahead
        while True:
            await asyncio.sleep(_PERIOD_SECONDS)
            await self._ask()
            if abs(self._kube.clock.ahead - ahead) > TOLERATED:
                ahead = self._kube.clock.ahead
                self._look_again()

    async def _ask(self) -> None:
        """Send a request; the `Date` header of any response contains the time."""
        try:
            await self._kube.request("GET", "/version")
        except KubeError as error:
            _log.debug("the API server was not asked for its time: %s", error.message)

    def _look_again(self) -> None:
        keys = [key for key in self._runs.all_keys() if not self._runs.has_ended(key)]
        _log.info("the clock was corrected; looking at %d runs again", len(keys))
        for key in keys:
            self._look(key)
