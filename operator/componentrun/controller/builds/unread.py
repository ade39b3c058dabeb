"""Which builds have lines that are not among the events of the runs that waited for them.

The log of a build is in its pod only. The pod is kept until each run that waited for the build reports in
`status.events.builds` that the collector has stored the lines, or until the time that all finished pods are kept.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from componentrun.core.builds.lifecycle.waiting import lacks_lines
from componentrun.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from componentrun.api.build.componentbuild import ComponentBuild
    from componentrun.controller.watching.cachekeys import Key
    from componentrun.controller.watching.caches import RunCache

__all__ = ["UnreadBuilds"]


class UnreadBuilds:
    """Finds the runs that lack lines of a build."""

    def __init__(self, runs: RunCache, wait_seconds: float, clock: Callable[[], datetime]) -> None:
        """`wait_seconds`: how long a pod is kept after the end of its build."""
        self._runs = runs
        self._wait = timedelta(seconds=wait_seconds)
        self._clock = clock
        self._look: Callable[[Key], object] | None = None
        self._lacking: dict[Key, set[Key]] = {}
        """Builds whose pods are kept, by a run that lacks their lines."""
        runs.listen(self._changed)

    def listen(self, look: Callable[[Key], object]) -> None:
        """Call this with each build whose pod is kept when a run that lacks its lines has changed."""
        self._look = look

    def kept_until(self, key: Key, build: ComponentBuild) -> datetime | None:
        """Until when the pod of a build that has ended is kept; None: nobody needs it.

        Args:
            key: of the build.
            build: the build, with its end in its status.
        """
        ended = build.status.completion_time
        if ended is None or self._clock() >= ended + self._wait:
            return None
        # One is enough: the build is looked at again when that run has changed.
        run = next((run for run in self._candidates(key) if self._lacks(run, key.name)), None)
        if run is None:
            return None
        self._lacking.setdefault(run, set()).add(key)
        return ended + self._wait

    def _candidates(self, build: Key) -> list[Key]:
        """The runs whose documents name the build."""
        name = build.name.encode()
        return [key for key, document in self._runs.documents_of(build.namespace) if name in document]

    def _lacks(self, key: Key, build: str) -> bool:
        try:
            run = self._runs.get(key)
        except UnsupportedError:
            return True  # another release may have changed it, and no line must be lost for that
        return run is not None and lacks_lines(run.status, build)

    def _changed(self, run: Key) -> None:
        for build in self._lacking.pop(run, ()):
            if self._look is not None:
                self._look(build)
