"""Record when a watch of this process first observed a pod of each run."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import kubernetes.client
import kubernetes.watch
import urllib3

from componentrun.api.names import RUN_LABEL

if TYPE_CHECKING:
    from e2e.tenant import Tenant

__all__ = ["FirstPods"]


class FirstPods:
    """Watches the pods of a namespace from `start` on."""

    def __init__(self, tenant: Tenant) -> None:
        """Create the watcher without starting it."""
        self._tenant = tenant
        self.seen: dict[str, float] = {}
        """For each run, when its first pod was observed (seconds of the monotonic clock)."""

    def start(self) -> None:
        """Start to watch."""
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            watch: Any = kubernetes.watch.Watch()  # type: ignore[no-untyped-call]  # without types in the client
            try:
                for event in watch.stream(self._tenant.core.list_namespaced_pod, self._tenant.namespace):
                    run = (event["object"].metadata.labels or {}).get(RUN_LABEL)
                    if run is not None:
                        self.seen.setdefault(run, time.monotonic())
            except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError):
                continue  # the next watch first lists pods that were created meanwhile
