"""Runs kopf for as long as the operator works."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import kopf
from kopf._cogs.structs.references import Insights  # its only way to learn which resources kopf has found

from componentrun.controller.handlers import registry
from componentrun.controller.kopfstream import own_events_only
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, RUNS, STORAGES
from componentrun.process.launch import listen_to_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.controller.handlers import Context

__all__ = ["STOP_SECONDS", "KopfRunner"]

_log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_STABLE_SECONDS: Final = 60.0
"""Seconds of operation after which the pause before a restart is reset."""
STOP_SECONDS: Final = 5.0
"""Seconds for kopf's tasks to end."""
_WATCHED: Final = frozenset(resource.plural for resource in (RUNS, COMPONENTS, STORAGES))
_IDENTITY: Final[Any] = socket.gethostname()
"""Set because kopf would look up a user name, which the container's uid does not have."""


class _NotServedError(Exception):
    """The API server serves the CRDs, but did not list all of them when kopf started."""


class KopfRunner:
    """Runs kopf, and restarts it when it ends, as it does after errors that it considers unrecoverable.

    For example, a watch error other than 410 ends all of kopf's watches. The workers continue meanwhile.
    """

    def __init__(self, context: Context, namespaces: Sequence[str], stopping: asyncio.Event) -> None:
        """Start nothing yet.

        Args:
            context: passed to the handlers.
            namespaces: namespaces to watch; empty: all.
            stopping: set by SIGTERM and SIGINT; kopf replaces the signal handlers each time that it starts.
        """
        self._context, self._namespaces, self._stopping = context, namespaces, stopping
        self.is_running = False
        """Whether kopf has logged in, and watches all kinds of objects."""

    async def run(self) -> None:
        """Watch until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                with own_events_only(self._context.caches.shard, self._context.relists.note):
                    await self._run_once()
                _log.error("kopf ended; it is started again")
            except Exception as error:  # noqa: BLE001 - kopf raises the error of its watches
                is_expected = isinstance(error, _NotServedError) or type(error).__module__.startswith("kopf")
                _log.error("kopf failed and is started again: %r", error, exc_info=None if is_expected else error)
            finally:
                self.is_running = False
            has_been_stable = time.monotonic() - began > _STABLE_SECONDS
            pause = _FIRST_PAUSE if has_been_stable else min(2 * pause, _LONGEST_PAUSE)
            await asyncio.sleep(pause)
            self._context.relists.note()

    async def _run_once(self) -> None:
        """Run kopf until one of its tasks ends, and raise its error.

        `kopf.operator` cancels all other tasks of the event loop when it ends, so its tasks are awaited here instead.
        """
        insights = Insights()
        scope: dict[str, Any] = {"namespaces": self._namespaces} if self._namespaces else {"clusterwide": True}
        tasks = await kopf.spawn_tasks(
            registry=registry(cluster_components=self._context.caches.uses_cluster_components),
            memo=self._context,
            standalone=True,
            identity=_IDENTITY,
            insights=insights,
            **scope,
        )
        listen_to_signals(self._stopping)
        getting_ready = asyncio.create_task(insights.ready_resources.wait(), name="kopf is ready")
        try:
            await asyncio.wait({*tasks, getting_ready}, return_when=asyncio.FIRST_COMPLETED)
            if insights.ready_resources.is_set():
                _check_resources(insights, cluster_components=self._context.caches.uses_cluster_components)
                self.is_running = True
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (getting_ready, *tasks):
                task.cancel()
            await asyncio.wait({getting_ready, *tasks}, timeout=STOP_SECONDS)
        for task in done:
            task.result()


def _check_resources(insights: Insights, *, cluster_components: bool) -> None:
    """Raise an error if kopf has not found all CRDs. It would never watch the others, nor look for them again.

    An API server that has just started accepts requests before it lists the CRDs.
    """
    watched = _WATCHED | ({CLUSTER_COMPONENTS.plural} if cluster_components else set())
    missing = watched - {resource.plural for resource in insights.watched_resources}
    if missing:
        raise _NotServedError(f"the API server does not list {', '.join(sorted(missing))} yet")
