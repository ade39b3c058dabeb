"""Checks each Component and ClusterComponent when it changes, and writes the result to its status.

A Component is also checked when the component that replaces it appears or disappears, and regularly if it is
deprecated, because its last day may be over. Nothing is written if nothing is new.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from componentrun.controller.work.queue import Backoff, WorkQueue
from componentrun.controller.work.tasks import handle_keys
from componentrun.core.components.deprecation import replacement_of
from componentrun.core.components.status import TAG_MOVED, check_request, default_request, status_of
from componentrun.core.schema.documents import CheckResult
from componentrun.errors import UnsupportedError
from componentrun.process.fairqueue import Flow
from componentrun.process.kubernetes.components import patch_status
from componentrun.process.kubernetes.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from componentrun.api.component import Component
    from componentrun.api.componentstatus import ComponentStatus
    from componentrun.controller.schemacheck.checker import SchemaChecker
    from componentrun.controller.storages.references import References
    from componentrun.controller.watching.caches import Caches, Key
    from componentrun.core.schema.documents import CheckRequest
    from componentrun.process.kubernetes.client import Kube

__all__ = ["ComponentChecks"]

_log = logging.getLogger(__name__)

_WORKERS: Final = 4
_DEPRECATED_SECONDS: Final = 3600.0
"""How often deprecated Components are checked."""


class ComponentChecks:
    """Keeps the status of every Component up to date."""

    def __init__(
        self, kube: Kube, caches: Caches, references: References, checker: SchemaChecker, clock: Callable[[], datetime]
    ) -> None:
        """Check nothing before `activate`. `clock` returns the API server's time."""
        self._kube = kube
        self._caches = caches
        self._references = references
        self._checker = checker
        self._clock = clock
        self._is_active = False
        self._replacements: dict[Key, str] = {}
        """Name of the component that replaces a deprecated one, by the key of the deprecated one."""
        self._queue: WorkQueue[Key] = WorkQueue(
            backoff=Backoff(first=1.0, longest=60.0), flow_of=lambda key: Flow(key.namespace), workers=_WORKERS
        )
        caches.components.listen(self._changed)
        caches.cluster_components.listen(self._changed)

    def activate(self, active: bool) -> None:  # noqa: FBT001 - a state, not a switch
        """Start or stop checking. Only the operator that holds the Lease checks Components."""
        self._is_active = active
        if active:
            for key in (*self._caches.components.all_keys(), *self._caches.cluster_components.all_keys()):
                self._queue.add(key)

    def look(self, key: Key) -> None:
        """Check a Component soon: what its conditions follow from has changed in its status."""
        self._queue.add(key)

    async def run(self) -> None:
        """Check Components until cancelled."""
        await handle_keys(self._queue, self._check, tasks=_WORKERS, what="component check")

    async def _check(self, key: Key) -> bool:
        await self.check(key)
        return True

    async def check(self, key: Key) -> None:
        """Check a Component, and write its status if that has changed.

        Args:
            key: namespace, empty for a ClusterComponent, and name.

        Raises:
            ComponentRunError: it could not be checked, or its status not written.
        """
        if not self._is_active or (not key.namespace and not self._caches.shard.is_first):
            return
        component = self._component(key)
        if component is None:
            return
        replacement = replacement_of(component)
        if component.spec.deprecated is not None:
            self._queue.add_after(key, _DEPRECATED_SECONDS)
        if replacement is None:
            self._replacements.pop(key, None)
        else:
            self._replacements[key] = replacement
        status = status_of(
            component,
            await self._result(key, check_request(component)),
            await self._result(key, default_request(component)),
            self._clock(),
            replacement_exists=replacement is None or self._references.has_component(key.namespace, replacement),
        )
        if status != component.status:
            await self._write(component, status)

    def _component(self, key: Key) -> Component | None:
        """The Component; None if it was deleted, or has values that this release does not support."""
        try:
            return self._references.cached_component(key)
        except UnsupportedError as error:
            _log.warning("%s", error.message)
            return None

    async def _result(self, key: Key, request: CheckRequest | None) -> CheckResult:
        return CheckResult() if request is None else await self._checker.check(key.namespace, request)

    async def _write(self, component: Component, status: ComponentStatus) -> None:
        document = status.to_dict()
        fields = {name: document[name] for name in ("observedGeneration", "conditions")}
        try:
            answer = await patch_status(self._kube, component, fields)
        except NotFoundError:
            return  # it was deleted, or its CRD is older than this operator
        self._caches.components_of(component.metadata.namespace).seen(answer)

    def _changed(self, key: Key) -> None:
        is_gone = self._caches.components_of(key.namespace).document(key) is None
        if is_gone:
            self._replacements.pop(key, None)
            self._queue.forget(key)
        elif self._needs_check(key):
            self._queue.add(key)
        for other, replacement in self._replacements.items():
            if replacement == key.name and key.namespace in {"", other.namespace}:
                self._queue.add(other)

    def _needs_check(self, key: Key) -> bool:
        """Whether a Component has no status of its present generation, or a run has resolved a tag that had moved.

        Everything else in its status is no news.
        """
        if not self._is_active:
            return False
        document = self._caches.components_of(key.namespace).document(key)
        raw = json.loads(document or b"{}")
        status = raw.get("status") or {}
        observed = status.get("observedGeneration")
        has_moved = any("movedTo" in channel for channel in status.get("channels") or ())
        says_so = any(condition.get("type") == TAG_MOVED for condition in status.get("conditions") or ())
        return observed is None or observed != raw.get("metadata", {}).get("generation") or (says_so and not has_moved)
