"""Numbers for Prometheus, besides those of any process (`componentrun.process.serving.metrics`).

The names that controllers share (`workqueue_*`, `controller_runtime_*`) are the ones that dashboards made for
controller-runtime know. No label holds the name of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from prometheus_client import Counter, Gauge, Histogram

from componentrun.api.componentrun import Phase, WaitingFor
from componentrun.core.lifecycle.ending import EVENTS_GIVEN_UP
from componentrun.errors import RETRIED_BEFORE_START, RETRIED_IF_NAMED
from componentrun.process.serving.metrics import QUICK, ProcessMetrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import CollectorRegistry

__all__ = ["CONTROLLER", "Metrics", "QueueMetrics"]

CONTROLLER: Final = "componentrun"

_MOST_COMPONENTS: Final = 200
"""Different values of the label `component`; what comes later is counted as `other`."""
_OTHER: Final = "other"
_LONG: Final = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
_PHASES: Final = get_args(Phase)
_CAUSES: Final[tuple[WaitingFor, ...]] = ("ConcurrencyGroup", "MaxRunning", "ResourceQuota")
"""What the operator itself makes runs wait for."""


class QueueMetrics:
    """What the work queue tells; see `controller.work.queue.QueueObserver`."""

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
        """A key was put in."""
        self._adds.inc()

    def depth(self, waiting: int) -> None:
        """So many keys wait."""
        self._depth.set(waiting)

    def taken(self, waited: float) -> None:
        """A key was taken."""
        self._waited.observe(waited)

    def done(self, worked: float) -> None:
        """Work on a key ended."""
        self._worked.observe(worked)

    def retried(self) -> None:
        """A key will come again."""
        self._retries.inc()


class Metrics(ProcessMetrics):
    """All metrics of one operator, in a registry of its own."""

    def __init__(self) -> None:
        """Define them all."""
        super().__init__()
        self.queue = QueueMetrics(self.registry)
        self._components: set[str] = set()
        self._define_runs()
        self._define_machinery()

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
        # A counter that appears with its first value has no rate before the second.
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

    def _define_machinery(self) -> None:
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
        ).labels(CONTROLLER)
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
        """How many runs there are in each phase, now."""
        for phase in _PHASES:
            self._runs.labels(phase).set(by_phase.get(phase, 0))

    def set_unsupported(self, runs: int) -> None:
        """Set the number of runs with values that this release does not support."""
        self._unsupported.set(runs)

    def set_waiting(self, by_cause: Mapping[WaitingFor, int]) -> None:
        """How many runs wait for what, now."""
        for cause in _CAUSES:
            self._waiting.labels(cause).set(by_cause.get(cause, 0))

    def set_unread(self, count: int, oldest_seconds: float) -> None:
        """Set the number of finished pods that are kept unread, and the age of the oldest."""
        self._unread.set(count)
        self._unread_age.set(oldest_seconds)

    def events_given_up(self, reason: str) -> None:
        """Count a run whose last events are not waited for any longer."""
        self._deleted_unread.labels(reason).inc()

    def run_started(self, waited: float) -> None:
        """A run's first attempt began so many seconds after the run was created."""
        self._queue_wait.observe(waited)

    def run_ended(self, reason: str, component: str, seconds: float) -> None:
        """A run's final status was written."""
        self._results.labels(reason, self._component(component)).inc()
        self._durations.observe(seconds)

    def retried(self, reason: str) -> None:
        """An attempt has ended, and another one follows."""
        self._retries.labels(reason).inc()

    def phases_ended(self, durations: Iterable[tuple[str, float]]) -> None:
        """Phases that a status write closed, with their seconds."""
        for phase, seconds in durations:
            self._phases.labels(phase).observe(seconds)

    def reconciled(self, result: str, seconds: float) -> None:
        """A reconciliation ended: `success`, `requeue`, `requeue_after` or `error`."""
        self._reconciles.labels(CONTROLLER, result).inc()
        self._reconcile_time.observe(seconds)

    def panicked(self) -> None:
        """A reconciliation ended with an exception that nobody expected."""
        self._panics.inc()

    def leads(self, leads: bool) -> None:  # noqa: FBT001 - a state, not a switch
        """Whether this operator works, or stands by."""
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
        """An event arrived."""
        self._watch_events.labels(resource).inc()

    def watch_missed(self, resource: str, count: int) -> None:
        """A listing found changes that no event had told."""
        self._missed.labels(resource).inc(count)

    def _component(self, name: str) -> str:
        if name not in self._components and len(self._components) >= _MOST_COMPONENTS:
            return _OTHER
        self._components.add(name)
        return name
