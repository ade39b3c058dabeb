"""Writes a run's status. After a successful write, updates the cache, metrics, log and Kubernetes Events.

`status.events` belongs to the collector: it is neither compared nor written.

A write whose response was lost may have succeeded, and its repetition then fails with a conflict. So the run is read
again: if it contains the intended status, the write has succeeded. If it can't be read either, the write is remembered
until the run is seen again (`settle`).
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.common import API_VERSION, ObjectMeta
from componentrun.api.componentrun import ComponentRun, ComponentRunSpec
from componentrun.controller.watching.caches import Key
from componentrun.core.lifecycle import conditions
from componentrun.core.lifecycle import status as core_status
from componentrun.core.lifecycle.actions import KubernetesEvent
from componentrun.core.lifecycle.conditions import EVENTS_DELIVERED, refused
from componentrun.errors import Reason
from componentrun.process.kubernetes.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    KubeError,
    UnavailableError,
)
from componentrun.process.kubernetes.resources import EVENTS, RUNS
from componentrun.process.logs import RunLogger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from componentrun.api.componentrun import ComponentRunStatus
    from componentrun.controller.metrics import Metrics
    from componentrun.controller.watching.caches import Caches
    from componentrun.process.kubernetes.client import Kube

__all__ = ["StatusWriter", "merge_patch"]

_log = logging.getLogger(__name__)

_REPORTER: Final = "componentrun.dev/operator"
_LONGEST_NOTE: Final = 1000
"""Maximum bytes of the note of an Event; the API server refuses more than 1,024."""
_LONGEST_MESSAGE: Final = 1000
_MOST_UNCONFIRMED: Final = 8


class StatusWriter:
    """Writes statuses."""

    def __init__(self, kube: Kube, caches: Caches, metrics: Metrics, instance: str) -> None:
        """`instance` names this process in Kubernetes Events."""
        self._kube = kube
        self._caches = caches
        self._metrics = metrics
        self._instance = instance
        self._unconfirmed: dict[Key, _Unconfirmed] = {}

    async def write(self, run: ComponentRun, status: ComponentRunStatus) -> ComponentRun:
        """Write the run's status if it has changed. Returns the run after the write.

        Raises:
            ConflictError: another client has changed the run since it was read.
            NotFoundError: the run was deleted.
            KubeError: the API server refused or is unavailable.
        """
        change = merge_patch(core_status.without_events(run.status), core_status.without_events(status))
        if not change:
            return run
        metadata = run.metadata
        body = {"metadata": {"resourceVersion": metadata.resource_version}, "status": change}
        key = Key(metadata.namespace, metadata.name)
        try:
            answer = await self._kube.patch(RUNS, *key, body, "status")
        except (ConflictError, UnavailableError) as error:
            if not error.may_be_done:
                raise
            self._unconfirmed[key] = _Unconfirmed.after(self._unconfirmed.get(key), run, status)
            return await self._look_who_wrote(key, error)
        self._unconfirmed.pop(key, None)
        written = self._caches.runs.answered(answer)
        self._count(run, written)
        return written

    async def settle(self, key: Key, run: ComponentRun | None) -> None:
        """Find out whether an earlier write without a response succeeded; if so, complete its follow-up work.

        Args:
            key: key of the run.
            run: its latest known version; None if it was deleted.
        """
        waiting = self._unconfirmed.get(key)
        if waiting is None or (run is not None and waiting.is_open(run)):
            return
        del self._unconfirmed[key]
        if run is None or not waiting.was_done(run):
            return
        self._count(waiting.before, run)
        event = core_status.lifecycle_event(waiting.before.status, run.status)
        if event is not None:
            await self.tell(run, event)

    async def _look_who_wrote(self, key: Key, error: KubeError) -> ComponentRun:
        """The run, if it contains the written status. Otherwise raises the error of the write."""
        try:
            answer = await self._kube.get(RUNS, *key)
        except UnavailableError:
            raise error from None
        written, waiting = ComponentRun.model_validate(answer), self._unconfirmed[key]
        if not waiting.is_last(written):
            # This request, or an earlier one, may still be applied; `settle` finds out later.
            raise error
        del self._unconfirmed[key]
        self._caches.runs.seen(answer)
        _logger(written).info("the status was written, though its answer was lost: %s", error.message)
        self._count(waiting.before, written)
        return written

    async def write_unsupported(self, key: Key, problem: str) -> None:
        """Set the condition `Accepted` to False for a run that this release does not support, and change nothing else.

        Nothing is sent if the condition is already set. If the API server refuses the status because its CRD is older,
        that is logged.

        Raises:
            ConflictError: the run has changed, or was replaced by another one of its name.
            UnavailableError: the API server is unavailable.
        """
        known = json.loads(self._caches.runs.document(key) or b"{}")
        metadata = ObjectMeta.model_validate(known.get("metadata") or {"name": key.name})
        told = refused(known.get("status"), problem[:_LONGEST_MESSAGE], metadata.generation, datetime.now(UTC))
        if told is None:
            return
        body = {"metadata": {"resourceVersion": metadata.resource_version}, "status": {"conditions": told}}
        try:
            self._caches.runs.seen(await self._kube.patch(RUNS, *key, body, "status"))
        except (InvalidError, ForbiddenError) as error:
            RunLogger(_log, *key).warning("that it is not understood can't be written: %s", error.message)
        RunLogger(_log, *key).warning("left as it is: %s", problem)
        run = ComponentRun(metadata=metadata, spec=ComponentRunSpec())
        await self.tell(run, KubernetesEvent("Warning", Reason.UNSUPPORTED_VALUE, problem))

    async def tell(self, run: ComponentRun, event: KubernetesEvent) -> None:
        """Write a Kubernetes Event. Best effort: failures are logged and do not affect the run."""
        try:
            await self._kube.create(EVENTS, run.metadata.namespace, _event(run, event, self._instance))
        except AlreadyExistsError:
            return  # an earlier attempt created it
        except KubeError as error:
            _logger(run).warning("the Kubernetes Event %s was not written: %s", event.reason, error.message)

    def _count(self, before: ComponentRun, after: ComponentRun) -> None:
        """Update metrics and write a log line after a successful write."""
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


@dataclass(frozen=True, slots=True)
class _Unconfirmed:
    """Status writes of one run with unknown outcome, all based on the same version."""

    before: ComponentRun
    wanted: tuple[dict[str, Any], ...]
    """Status documents, newest last."""

    @classmethod
    def after(cls, earlier: _Unconfirmed | None, run: ComponentRun, status: ComponentRunStatus) -> _Unconfirmed:
        """A copy with one more write."""
        known = earlier.wanted if earlier is not None and earlier.is_open(run) else ()
        return cls(run, (*known[1 - _MOST_UNCONFIRMED :], core_status.without_events(status)))

    def is_open(self, run: ComponentRun) -> bool:
        """Whether the run still has the version on which the writes are based."""
        now, then = run.metadata, self.before.metadata
        return (now.uid, now.resource_version) == (then.uid, then.resource_version)

    def was_done(self, run: ComponentRun) -> bool:
        """Whether the run contains the result of one of the writes. The collector may have written since."""
        return any(self._is(run, document) for document in self.wanted)

    def is_last(self, run: ComponentRun) -> bool:
        """Whether the run contains the result of the last write."""
        return not self.is_open(run) and self._is(run, self.wanted[-1])

    def _is(self, run: ComponentRun, document: dict[str, Any]) -> bool:
        is_same = run.metadata.uid == self.before.metadata.uid
        return is_same and _compared(core_status.without_events(run.status)) == _compared(document)


def _compared(document: dict[str, Any]) -> dict[str, Any]:
    """A status without the condition that the collector writes."""
    others = [item for item in document.get("conditions") or () if item["type"] != EVENTS_DELIVERED]
    return {**document, "conditions": others}


def merge_patch(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch from `current` to `wanted`; empty if they are equal."""
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
    """Phases that have ended since `old`, with their durations in seconds."""
    ended_before = max(len(old.phases) - 1, 0)
    for begun, following in list(zip(new.phases, new.phases[1:], strict=False))[ended_before:]:
        yield begun.phase, (following.start_time - begun.start_time).total_seconds()


def _event(run: ComponentRun, event: KubernetesEvent, instance: str) -> dict[str, Any]:
    metadata = run.metadata
    # The name is derived from the content, so that a repetition does not create a second event.
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
