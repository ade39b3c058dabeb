"""Watch events of a namespace's objects, with the times of their arrival."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import kubernetes
import kubernetes.client
import kubernetes.watch

from componentrun.api.common import GROUP, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from e2e.tenant import Tenant

__all__ = ["JOBS", "PODS", "RUNS", "WatchEvent", "WatchLog"]

PODS: Final = "pods"
JOBS: Final = "jobs"
RUNS: Final = "runs"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One watch event."""

    at: float
    """time.monotonic() when it arrived."""
    kind: str
    event: str
    """ADDED, MODIFIED or DELETED."""
    object: dict[str, Any]

    @property
    def name(self) -> str:
        """Of the object."""
        return str(self.object["metadata"]["name"])


class WatchLog:
    """Watches objects of a namespace; a context manager."""

    def __init__(self, tenant: Tenant, kinds: Sequence[str] = (PODS, JOBS, RUNS)) -> None:
        """Prepare; watching starts on entering."""
        self._tenant = tenant
        self._kinds = kinds
        self._seen: list[WatchEvent] = []
        self._changed = threading.Condition()
        self._broken: Exception | None = None
        self._ended = False

    def __enter__(self) -> Self:
        """List each kind, then watch it in a thread."""
        for kind in self._kinds:
            listing, arguments = self._listings()[kind]
            version = _version(listing(*arguments, limit=1))
            thread = threading.Thread(target=self._watch, args=(kind, listing, arguments, version), daemon=True)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ignore further events; the threads end with the process."""
        self._ended = True

    def until(self, kind: str, check: Callable[[WatchEvent], bool], timeout: float = 180) -> WatchEvent:
        """Wait for the first event of a kind for which `check` holds, including past events.

        Raises:
            TimeoutError: there was none; the message contains the last one of the kind.
        """
        deadline = time.monotonic() + timeout
        looked_at = 0
        with self._changed:
            while True:
                for seen in self._seen[looked_at:]:
                    if seen.kind == kind and check(seen):
                        return seen
                looked_at = len(self._seen)
                if self._broken is not None:
                    raise self._broken
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"after {timeout:.0f} s; last of {kind}: {self._last(kind)}")

    def all(self) -> list[WatchEvent]:
        """Return all events so far, in the order of their arrival."""
        with self._changed:
            return list(self._seen)

    def forget(self) -> None:
        """Discard all events, between two turns."""
        with self._changed:
            self._seen.clear()

    def _listings(self) -> dict[str, tuple[Any, tuple[str, ...]]]:
        tenant = self._tenant
        batch = kubernetes.client.BatchV1Api(tenant.api)
        return {
            PODS: (tenant.core.list_namespaced_pod, (tenant.namespace,)),
            JOBS: (batch.list_namespaced_job, (tenant.namespace,)),
            RUNS: (tenant.custom.list_namespaced_custom_object, (GROUP, VERSION, tenant.namespace, "componentruns")),
        }

    def _watch(self, kind: str, listing: Any, arguments: tuple[str, ...], version: str) -> None:
        watch_class: Any = kubernetes.watch.Watch  # without types in the client
        try:
            for event in watch_class().stream(listing, *arguments, resource_version=version):
                self._add(WatchEvent(time.monotonic(), kind, event["type"], event["raw_object"]))
        except Exception as error:  # noqa: BLE001 - reported by `until`
            if not self._ended:
                with self._changed:
                    self._broken = error
                    self._changed.notify_all()

    def _add(self, seen: WatchEvent) -> None:
        with self._changed:
            self._seen.append(seen)
            self._changed.notify_all()

    def _last(self, kind: str) -> Any:
        objects = [seen.object for seen in self._seen if seen.kind == kind]
        return objects[-1].get("status") if objects else "none was seen"


def _version(listed: Any) -> str:
    metadata = listed["metadata"] if isinstance(listed, dict) else listed.metadata
    return str(metadata["resourceVersion"] if isinstance(metadata, dict) else metadata.resource_version)
