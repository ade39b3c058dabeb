"""Writing a run's status, and what follows a write that succeeded: the cache, metrics, the log, a Kubernetes Event.

`status.events` belongs to the collector: it is neither compared nor written.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.common import API_VERSION
from componentrun.api.componentrun import ComponentRun
from componentrun.api.unreadable import what_is_wrong
from componentrun.core import conditions
from componentrun.core import status as core_status
from componentrun.errors import Reason
from componentrun.process.kubeerrors import AlreadyExistsError, KubeError
from componentrun.process.logs import RunLogger
from componentrun.process.resources import EVENTS, RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import ValidationError

    from componentrun.api.componentrun import ComponentRunStatus
    from componentrun.controller.caches import Caches, Key
    from componentrun.controller.metrics import Metrics
    from componentrun.core.actions import KubernetesEvent
    from componentrun.process.kube import Kube

__all__ = ["StatusWriter", "merge_patch"]

_log = logging.getLogger(__name__)

_REPORTER: Final = "componentrun.dev/operator"
_LONGEST_NOTE: Final = 1000
"""Bytes; the API server refuses an Event with more than 1,024."""
_LONGEST_MESSAGE: Final = 1000


class StatusWriter:
    """Writes statuses."""

    def __init__(self, kube: Kube, caches: Caches, metrics: Metrics, instance: str) -> None:
        """`instance` names this process in Kubernetes Events."""
        self._kube = kube
        self._caches = caches
        self._metrics = metrics
        self._instance = instance

    async def write(self, run: ComponentRun, status: ComponentRunStatus) -> ComponentRun:
        """Make this the run's status; the run as it is then. Nothing is sent where nothing changed.

        Raises:
            ConflictError: the run was changed since it was read.
            NotFoundError: the run is gone.
            KubeError: the API server refused or is away.
        """
        change = merge_patch(core_status.without_events(run.status), core_status.without_events(status))
        if not change:
            return run
        metadata = run.metadata
        body = {"metadata": {"resourceVersion": metadata.resource_version}, "status": change}
        answer = await self._kube.patch(RUNS, metadata.namespace, metadata.name, body, "status")
        self._caches.runs.seen(answer)
        written = ComponentRun.model_validate(answer)
        self._count(run, written)
        return written

    async def write_unreadable(self, key: Key, error: ValidationError) -> None:
        """End a run that this release can't read, so that whoever waits for it hears of it.

        Raises:
            ConflictError: it has changed, or is another one of its name by now.
            KubeError: the API server refused or is away.
        """
        message = f"This release of the operator can't read the run: {what_is_wrong(error)}"[:_LONGEST_MESSAGE]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {
            "type": "Succeeded", "status": "False", "reason": Reason.INVALID_SPEC, "message": message,
            "lastTransitionTime": now,
        }  # fmt: skip
        status = {
            "phase": "Failed", "result": "Error", "reason": Reason.INVALID_SPEC, "message": message,
            "completionTime": now, "conditions": [condition],
        }  # fmt: skip
        known = json.loads(self._caches.runs.document(key) or b"{}")
        version = known.get("metadata", {}).get("resourceVersion", "")
        body = {"metadata": {"resourceVersion": version}, "status": status}
        self._caches.runs.seen(await self._kube.patch(RUNS, *key, body, "status"))

    async def tell(self, run: ComponentRun, event: KubernetesEvent) -> None:
        """Write a Kubernetes Event. It is a courtesy: where it fails, the log says so and the run goes on."""
        try:
            await self._kube.create(EVENTS, run.metadata.namespace, _event(run, event, self._instance))
        except AlreadyExistsError:
            return  # told by an earlier try
        except KubeError as error:
            _logger(run).warning("the Kubernetes Event %s was not written: %s", event.reason, error.message)

    def _count(self, before: ComponentRun, after: ComponentRun) -> None:
        """Metrics and a log line for a write that succeeded."""
        old, new = before.status, after.status
        self._metrics.phases_ended(_phases_ended(old, new))
        if new.phase != old.phase:
            reason = f" ({new.reason})" if new.reason and new.reason != new.phase else ""
            _logger(after).info("%s%s: %s", new.phase, reason, new.message or "")
        if new.next_attempt_time is not None and old.next_attempt_time is None:
            self._metrics.retried(new.attempts[-1].reason or "")
        if new.attempts and not old.attempts:
            began = new.attempts[0].start_time
            self._metrics.run_started(max((began - (after.metadata.creation_timestamp or began)).total_seconds(), 0.0))
        told, told_before = (conditions.find(of.conditions, conditions.EVENTS_DELIVERED) for of in (new, old))
        if told is not None and told.status == "False" and (told_before is None or told_before.status != "False"):
            self._metrics.events_given_up(told.reason)
        if core_status.is_terminal(new) and not core_status.is_terminal(old):
            created = after.metadata.creation_timestamp or datetime.now(UTC)
            ended = new.completion_time or datetime.now(UTC)
            component = after.spec.component or "image"
            self._metrics.run_ended(new.reason or "", component, (ended - created).total_seconds())


def merge_patch(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch that makes `wanted` of `current`; empty where they are equal."""
    change: dict[str, Any] = {name: None for name in current if name not in wanted}
    for name, value in wanted.items():
        before = current.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = merge_patch(before, value)
            if inner:
                change[name] = inner
        elif name not in current or before != value:
            change[name] = value
    return change


def _phases_ended(old: ComponentRunStatus, new: ComponentRunStatus) -> Iterator[tuple[str, float]]:
    """Phases that have an end now and had none before, with their seconds."""
    ended_before = max(len(old.phases) - 1, 0)
    for begun, following in list(zip(new.phases, new.phases[1:], strict=False))[ended_before:]:
        yield begun.phase, (following.start_time - begun.start_time).total_seconds()


def _event(run: ComponentRun, event: KubernetesEvent, instance: str) -> dict[str, Any]:
    metadata = run.metadata
    # The name is made of what the event says, so that telling it again is no second event.
    told = sha256(f"{metadata.uid} {event.reason} {event.message}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata.name}.{told}", "namespace": metadata.namespace},
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": event.type,
        "reason": event.reason,
        "action": "Reconcile",
        "note": event.message.encode()[:_LONGEST_NOTE].decode(errors="ignore"),
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": ComponentRun.KIND,
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
        },
        "reportingController": _REPORTER,
        "reportingInstance": instance,
    }


def _logger(run: ComponentRun) -> RunLogger:
    return RunLogger(_log, run.metadata.namespace, run.metadata.name)
