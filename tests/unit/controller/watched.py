"""A world in memory that notes which components may be running at a time, and in which order pods were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.unit.controller.fakes import World

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIGURATION = {"id": "42"}


class Watched(World):
    """Notes after each write which components may be running, and in which order pods were made."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self.kube.writes.done = self._noting(self.kube.writes.done)  # type: ignore[method-assign]  # the point

    def _noting(self, done: Callable[[str], None]) -> Callable[[str], None]:
        def note(what: str) -> None:
            self.most = max(self.most, len(self.alive()))
            done(what)

        return note

    def alive(self) -> list[str]:
        """Pods whose component has not ended."""
        return [
            pod["metadata"]["name"]
            for pod in self.kube.of("pods")
            if "terminated" not in ((pod.get("status") or {}).get("containerStatuses") or [{"state": {}}])[0]["state"]
        ]

    def pods_made(self) -> list[str]:
        return [name.removeprefix("pods/") for name in self.kube.created if name.startswith("pods/")]

    def status(self, name: str) -> dict[str, Any]:
        return dict(self.run(name).get("status") or {})
