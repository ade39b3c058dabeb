"""Prometheus metrics of the operator, in addition to those of all processes (`componentrun.process.serving.metrics`).

Names that controllers share (`workqueue_*`, `controller_runtime_*`) are those of controller-runtime, so its dashboards
work. No label contains the name of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from prometheus_client import Counter, Gauge, Histogram

from componentrun.api.componentrun import Phase, WaitingFor
from componentrun.core.lease.shard import WHOLE, Shard
from componentrun.core.lifecycle.delivery import EVENTS_GIVEN_UP
from componentrun.process.serving.metrics import QUICK, ProcessMetrics
from componentrun.reasons import RETRIED_BEFORE_START, RETRIED_IF_NAMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import CollectorRegistry

__all__ = ["CONTROLLER", "Metrics", "QueueMetrics"]

CONTROLLER: Final = "componentrun"

_MOST_COMPONENTS: Final = 200
"""Maximum number of values of the label `component`; further ones are counted as `other`."""
_OTHER: Final = "other"
_LONG: Final = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
_PHASES: Final = get_args(Phase)
_CAUSES: Final[tuple[WaitingFor, ...]] = ("ConcurrencyGroup", "MaxRunning", "ResourceQuota")
"""What runs in the admission queue wait for."""


class QueueMetrics:
    """Metrics of the work queue; see `controller.work.queue.QueueObserver`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Define them in `registry`."""
        labels = ("name",)
        self._depth = Gauge("workqueue_depth", "Keys that wait", labels, registry=registry).labels(CONTROLLER)
        self._adds = Counter("workqueue_adds", "Keys that were put in", labels, registry=registry).labels(CONTROLLER)
        self._waited = Histogram(
            "workqueue_queue_duration_seconds", "How long keys waited", labels, buckets=QUICK, registry=registry
        ).labels(CONTROLLER)
        self._worked = Histogram(
            "workqueue_work_duration_seconds", "How long work on a key took", labels, buckets=QUICK, registry=registry
        ).labels(CONTROLLER)
        self._retries = Counter(
            "workqueue_retries", "Keys that failed and came again", labels, registry=registry
        ).labels(CONTROLLER)

    def added(self) -> None:
        """Count a key that was added."""
        self._adds.inc()

    def depth(self, waiting: int) -> None:
        """Set the number of waiting keys."""
        self._depth.set(waiting)

    def taken(self, waited: float) -> None:
        """Record how long a key that was taken has waited, in seconds."""
        self._waited.observe(waited)

    def done(self, worked: float) -> None:
        """Record how long the processing of a key took, in seconds."""
        self._worked.observe(worked)

    def retried(self) -> None:
        """Count a key that failed and will be retried."""
        self._retries.inc()


class Metrics(ProcessMetrics):
    """All metrics of one operator, in a registry of its own."""

    def __init__(self, shard: Shard = WHOLE) -> None:
        """Define them all, for this shard."""
        super().__init__()
        self.queue = QueueMetrics(self.registry)
        self._components: set[str] = set()
        self._define_runs()
        self._define_builds()
        self._define_machinery(shard)

    def _define_runs(self) -> None:
        registry = self.registry
        self._runs = Gauge("componentrun_runs", "Runs by phase", ("phase",), registry=registry)
        self._results = Counter("componentrun_results", "Runs that ended", ("reason", "component"), registry=registry)
        self._retries = Counter(
            "componentrun_retries", "Attempts that ended and that another one follows", ("reason",), registry=registry
        )
        self._phases = Histogram(
            "componentrun_phase_duration_seconds", "Time in a phase", ("phase",), buckets=_LONG, registry=registry
        )
        self._durations = Histogram(
            "componentrun_run_duration_seconds", "From creation to end", buckets=_LONG, registry=registry
        )
        self._waiting = Gauge(
            "componentrun_queue_waiting", "Runs that wait for their turn, by what for", ("waiting_for",),
            registry=registry,
        )  # fmt: skip
        self._queue_wait = Histogram(
            "componentrun_queue_wait_seconds", "From creation to the first attempt's start",
            buckets=(0.1, *_LONG), registry=registry,
        )  # fmt: skip
        self._unread = Gauge(
            "componentrun_unread_pods", "Pods that have ended and are kept for their last lines", registry=registry
        )
        self._unread_age = Gauge(
            "componentrun_unread_pods_oldest_seconds", "How long ago the first of them ended", registry=registry
        )
        self._deleted_unread = Counter(
            "componentrun_unread_pods_given_up",
            "Runs whose last events were not waited for any longer, by why",
            ("reason",),
            registry=registry,
        )
        # A counter that appears with its first value has no rate until its second value.
        for reason in EVENTS_GIVEN_UP:
            self._deleted_unread.labels(reason)
        for reason in sorted(RETRIED_BEFORE_START | RETRIED_IF_NAMED):
            self._retries.labels(reason.value)
        self._unsupported = Gauge(
            "componentrun_unsupported_runs", "Runs that this release does not understand, and leaves as they are",
            registry=registry,
        )  # fmt: skip
        self.set_runs({})
        self.set_waiting({})

    def _define_builds(self) -> None:
        registry = self.registry
        self._builds = Counter("componentrun_builds", "Builds of images that ended", ("reason",), registry=registry)
        self._build_durations = Histogram(
            "componentrun_build_duration_seconds", "From the creation of the pod to the end of the build",
            buckets=_LONG, registry=registry,
        )  # fmt: skip

    def _define_machinery(self, shard: Shard) -> None:
        registry = self.registry
        self._reconciles = Counter(
            "controller_runtime_reconcile", "Reconciliations", ("controller", "result"), registry=registry
        )
        self._reconcile_time = Histogram(
            "controller_runtime_reconcile_time_seconds", "Time of a reconciliation", ("controller",),
            buckets=QUICK, registry=registry,
        ).labels(CONTROLLER)  # fmt: skip
        self._panics = Counter(
            "controller_runtime_reconcile_panics", "Unexpected exceptions (defects)", ("controller",), registry=registry
        ).labels(CONTROLLER)
        self._leader = Gauge(
            "leader_election_master_status",
            "Whether this operator works; 0: it stands by",
            ("name",),
            registry=registry,
        ).labels(shard.lease_name(CONTROLLER))
        Gauge(
            "componentrun_operator_shards", "Operators that divide the namespaces, without standbys", registry=registry
        ).set(shard.count)
        self._missed = Counter(
            "componentrun_watch_missed", "Changes that only a listing found", ("resource",), registry=registry
        )
        self._unresponsive = Gauge(
            "componentrun_storage_unresponsive", "Storages whose store does not respond: its circuit breaker is open",
            ("namespace", "storage"), registry=registry,
        )  # fmt: skip
        self._store_waiting = Gauge(
            "componentrun_store_waiting", "Runs whose next step waits for their Storage", registry=registry
        )
        self._watch_events = Counter(
            "componentrun_watch_events", "Events that arrived", ("resource",), registry=registry
        )

    def set_runs(self, by_phase: Mapping[str, int]) -> None:
        """Set the number of runs in each phase."""
        for phase in _PHASES:
            self._runs.labels(phase).set(by_phase.get(phase, 0))

    def set_unsupported(self, runs: int) -> None:
        """Set the number of runs with values that this release does not support."""
        self._unsupported.set(runs)

    def set_waiting(self, by_cause: Mapping[WaitingFor, int]) -> None:
        """Set the number of waiting runs by what they wait for."""
        for cause in _CAUSES:
            self._waiting.labels(cause).set(by_cause.get(cause, 0))

    def set_unread(self, count: int, oldest_seconds: float) -> None:
        """Set the number of finished pods that are kept unread, and the age of the oldest."""
        self._unread.set(count)
        self._unread_age.set(oldest_seconds)

    def events_given_up(self, reason: str) -> None:
        """Count a run whose last events the operator no longer waits for."""
        self._deleted_unread.labels(reason).inc()

    def run_started(self, waited: float) -> None:
        """Record the seconds between a run's creation and its first attempt."""
        self._queue_wait.observe(waited)

    def run_ended(self, reason: str, component: str, seconds: float) -> None:
        """Record that a run's final status was written."""
        self._results.labels(reason, self._component(component)).inc()
        self._durations.observe(seconds)

    def build_ended(self, reason: str, seconds: float) -> None:
        """Record that the final status of a build was written."""
        self._builds.labels(reason).inc()
        self._build_durations.observe(seconds)

    def retried(self, reason: str) -> None:
        """Count an attempt that is followed by another one."""
        self._retries.labels(reason).inc()

    def phases_ended(self, durations: Iterable[tuple[str, float]]) -> None:
        """Record phases that a status write ended, with their durations in seconds."""
        for phase, seconds in durations:
            self._phases.labels(phase).observe(seconds)

    def reconciled(self, result: str, seconds: float) -> None:
        """Record the result of a reconcile: `success`, `requeue`, `requeue_after` or `error`."""
        self._reconciles.labels(CONTROLLER, result).inc()
        self._reconcile_time.observe(seconds)

    def panicked(self) -> None:
        """Count a reconcile that ended with an unexpected exception."""
        self._panics.inc()

    def leads(self, leads: bool) -> None:  # noqa: FBT001 - a state, not a switch
        """Set whether this operator is the leader."""
        self._leader.set(int(leads))

    def storage_responds(self, namespace: str, storage: str, *, responds: bool) -> None:
        """Set whether a Storage's store responds."""
        if responds:
            self._unresponsive.remove(namespace, storage)
        else:
            self._unresponsive.labels(namespace, storage).set(1)

    def set_store_waiting(self, count: int) -> None:
        """Set the number of runs that wait for their Storage."""
        self._store_waiting.set(count)

    def watch_event(self, resource: str) -> None:
        """Count an event."""
        self._watch_events.labels(resource).inc()

    def watch_missed(self, resource: str, count: int) -> None:
        """Count changes that a listing found and that no event had reported."""
        self._missed.labels(resource).inc(count)

    def _component(self, name: str) -> str:
        if name not in self._components and len(self._components) >= _MOST_COMPONENTS:
            return _OTHER
        self._components.add(name)
        return name
