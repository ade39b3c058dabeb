"""Admission queues of all namespaces, updated from the caches; `core.queue.admission` decides which runs may start.

A change of a run, a pod, a Component or a Storage updates a queue. Runs that may now start, or must end, are added to
the work queue at once; nothing polls. A run that is about to start is claimed before any request is sent, so no other
worker starts a second run of its group. After the start, its status and its pod show that it has a place. After a
restart, the operator lists both before it starts anything.

The state of a namespace is one object, dropped when the namespace has no run, pod or Component that counts. After an
unexpected error, its queue is rebuilt from the rest of the state (decision 0039).
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from componentrun.controller.watching.caches import Key, version_of
from componentrun.core.queue.admission import START, Queue, Turn
from componentrun.core.queue.concurrency import DEFAULTS, defaults_of, entry_of, entry_of_pod, facts_of, limit_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from componentrun.api.componentrun import WaitingFor
    from componentrun.controller.watching.caches import Caches
    from componentrun.core.podstatus.view import PodView
    from componentrun.core.queue.concurrency import Defaults, RunFacts
    from componentrun.core.queue.entry import Entry

__all__ = ["Queues"]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Namespace:
    """Runs, pods and Components of one namespace that count, and the queue derived from them."""

    name: str
    shared: Callable[[str], Defaults]
    """Returns the defaults of a component that is not in `defaults`: those of a ClusterComponent, or none."""
    queue: Queue = field(default_factory=Queue)
    facts: dict[str, RunFacts] = field(default_factory=dict)
    """Runs by name, until they have ended, or were deleted and none of their pods keeps their place."""
    claims: set[str] = field(default_factory=set)
    """Names of runs that are about to start; all of them are in `facts`."""
    pods: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """Pods that keep the place of a run, by the run's name and uid."""
    superseded: dict[tuple[str, str], Entry] = field(default_factory=dict)
    """Deleted runs, or runs replaced by another one of the same name, whose pods still run; all are in `pods`."""
    defaults: dict[str, Defaults] = field(default_factory=dict)
    """Defaults of Components of the namespace that matter for the queue."""
    is_stale: bool = False
    """Whether an error interrupted a change of the queue, which must be rebuilt."""
    rejected: set[str] = field(default_factory=set)
    """Names of runs that can't be added to the queue because of an error that concerns only them."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing in the namespace counts."""
        return not (self.facts or self.pods or self.defaults)

    def forget(self, name: str) -> None:
        """Remove a run from the namespace."""
        self.facts.pop(name, None)
        self.claims.discard(name)
        self.rejected.discard(name)

    def is_running(self, facts: RunFacts) -> bool:
        """Whether a run has a place, by its status or by its pods."""
        return facts.stage == "started" or (facts.name, facts.order.uid) in self.pods

    def defaults_of(self, facts: RunFacts) -> Defaults:
        """The defaults of the run's component."""
        name = facts.component or ""
        return self.defaults.get(name) or self.shared(name)

    def entry(self, facts: RunFacts) -> Entry | None:
        """The queue entry of a run; None if it neither waits nor has a place."""
        running, claimed = self.is_running(facts), facts.name in self.claims
        if not (running or claimed or facts.stage == "waiting"):
            return None
        defaults = self.defaults_of(facts)
        return entry_of(facts, defaults, placed=running or claimed, claimed=claimed and not running)

    def place(self, name: str) -> set[str]:
        """Update the queue with the current state of a run. Returns other runs to reconcile."""
        facts = self.facts.get(name)
        if facts is not None and facts.stage in {"started", "ended"}:
            self.claims.discard(name)
        entry = None if facts is None else self.entry(facts)
        if entry is not None:
            moved = self.queue.put(entry)
            self.rejected.discard(name)
            return moved
        if facts is not None and facts.stage == "ended":
            self.forget(name)
        return self.queue.remove(name)

    def behind_rejected(self, name: str) -> Turn | None:
        """The turn of a run if its group contains a run that can't be added to the queue and may be running."""
        facts = self.facts.get(name)
        if not self.rejected or facts is None or facts.group is None or self.is_running(facts):
            return None
        ahead = sorted(other for other in self.rejected if self.facts[other].group == facts.group)
        return Turn("wait", "ConcurrencyGroup", 1, facts.group, tuple(ahead)) if ahead else None

    def derive(self) -> None:
        """Rebuild the queue, without runs that can't be added to it. Runs that a quota refused are retried."""
        limit, self.is_stale = self.queue.limit, True
        while self.is_stale:
            self.queue, self.is_stale = Queue(), False
            self.queue.limit = limit
            for entry in self.superseded.values():
                self.queue.put(entry)
            for name in [name for name in self.facts if name not in self.rejected]:
                try:
                    self.place(name)
                except Exception:  # noqa: BLE001 - a defect in one run must not affect others
                    _log.exception("run %s/%s can't be put in the queue; the others are", self.name, name)
                    self.rejected.add(name)
                    self.is_stale = True
                    break


class Queues:
    """See the module. Not thread-safe; no method waits."""

    def __init__(self, caches: Caches, look: Callable[[Key], object], limit: int | None = None) -> None:
        """Subscribe to the caches.

        Args:
            caches: still empty.
            look: called with each run that must be reconciled.
            limit: maximum number of runs of a namespace with a pod, unless its Storage sets one; None: no limit.
        """
        self._caches = caches
        self._look = look
        self._limit = limit
        self._namespaces: dict[str, _Namespace] = {}
        caches.runs.on_run = self._run_changed
        caches.runs.on_others = self._run_is_anothers
        caches.pods.on_pod = self._pod_changed
        self._cluster_defaults: dict[str, Defaults] = {}
        """Defaults of ClusterComponents that matter for the queue."""
        caches.components.listen(self._component_changed)
        caches.cluster_components.listen(self._cluster_component_changed)
        caches.storages.listen(self._storage_changed)

    def turn(self, key: Key) -> Turn:
        """Whether this run may start, what it waits for, and whether another one takes its place.

        Raises:
            Exception: the error because of which the run can't be added to the queue.
        """
        if key.namespace not in self._namespaces:
            return START
        with self._change(key.namespace) as space:
            if key.name in space.rejected:
                self._wake(key.namespace, space.place(key.name))
            return space.behind_rejected(key.name) or space.queue.turn(key.name)

    def claim(self, key: Key, *, starts: bool) -> None:
        """Claim a place for a run that is about to start, or drop the claim. A deleted run gets no place."""
        space = self._namespaces.get(key.namespace)
        if space is None or key.name not in space.facts or starts == (key.name in space.claims):
            return
        with self._change(key.namespace) as space:
            (space.claims.add if starts else space.claims.discard)(key.name)
            self._wake(key.namespace, space.place(key.name))

    def quota_full(self, key: Key, said: str) -> None:
        """Record that a quota refused this run's pod: it has no place, and later runs of its class wait for it."""
        self.claim(key, starts=False)
        if key.namespace not in self._namespaces:
            return
        with self._change(key.namespace) as space:
            self._wake(key.namespace, space.queue.quota_full(key.name, said))

    def counts(self) -> Mapping[WaitingFor, int]:
        """Number of waiting runs by what they wait for."""
        total: Counter[WaitingFor] = Counter()
        for namespace in list(self._namespaces):
            with self._change(namespace) as space:
                total.update(space.queue.counts())
        return total

    def _run_changed(self, key: Key, run: Mapping[str, Any] | None) -> None:
        with self._change(key.namespace) as space:
            known = space.facts.get(key.name)
            if known is not None and (run is None or known.order.uid != run["metadata"].get("uid")):
                # The claimed run was deleted. A later run of the same name waits for its own turn.
                space.claims.discard(key.name)
            if run is not None:
                if known is not None and known.order.uid != run["metadata"].get("uid"):
                    self._wake(key.namespace, _leave(space, known))
                self._wake(key.namespace, _return(space, key.name, run["metadata"].get("uid")))
                space.facts[key.name] = facts_of(run, version_of(run), known)
            elif known is not None and (key.name, known.order.uid) not in space.pods:
                # The run's pod still runs and keeps its place until it ends.
                space.forget(key.name)
            self._wake(key.namespace, space.place(key.name))

    def _pod_changed(self, key: Key, run_uid: str, uid: str, pod: PodView) -> None:
        with self._change(key.namespace) as space:
            who = key.name, run_uid
            if pod.can_run_component:
                space.pods.setdefault(who, set()).add(uid)
                if not self._is_anothers(key, run_uid):
                    self._wake(key.namespace, _keep_place(space, key.name, run_uid, pod))
            elif who in space.pods:
                space.pods[who].discard(uid)
                if not space.pods[who]:
                    self._wake(key.namespace, self._last_pod_gone(space, key, run_uid))
            self._wake(key.namespace, space.place(key.name))
            if pod.gone or pod.is_terminal:
                # The quota no longer counts the pod, so refused runs may fit.
                self._wake(key.namespace, space.queue.refused())

    def _run_is_anothers(self, key: Key, uid: str) -> None:
        """Free the places of another operator's run, whose pods may have been listed before it."""
        if key.namespace in self._namespaces:
            with self._change(key.namespace) as space:
                self._wake(key.namespace, _return(space, key.name, uid))

    def _is_anothers(self, key: Key, run_uid: str) -> bool:
        return self._caches.runs.is_anothers(key) or self._caches.runs.was_anothers(run_uid)

    def _last_pod_gone(self, space: _Namespace, key: Key, run_uid: str) -> set[str]:
        """Handle the end of the last pod that kept a run's place. Returns other runs to reconcile."""
        del space.pods[key.name, run_uid]
        left = space.superseded.pop((key.name, run_uid), None)
        if left is not None:
            return space.queue.remove(left.name)
        known = space.facts.get(key.name)
        if known is not None and known.order.uid == run_uid and self._caches.runs.document(key) is None:
            space.forget(key.name)
        return set()

    def _component_changed(self, key: Key) -> None:
        with self._change(key.namespace) as space:
            document = self._caches.components.document(key)
            before = space.defaults.pop(key.name, DEFAULTS)
            defaults = DEFAULTS if document is None else defaults_of(json.loads(document))
            if defaults != DEFAULTS:
                space.defaults[key.name] = defaults
            if defaults == before and key.name not in self._cluster_defaults:
                return
            self._place_runs_of(space, key.name)

    def _cluster_component_changed(self, key: Key) -> None:
        document = self._caches.cluster_components.document(key)
        before = self._cluster_defaults.pop(key.name, DEFAULTS)
        defaults = DEFAULTS if document is None else defaults_of(json.loads(document))
        if defaults != DEFAULTS:
            self._cluster_defaults[key.name] = defaults
        if defaults == before:
            return
        for namespace in list(self._namespaces):
            if self._caches.components.document(Key(namespace, key.name)) is None:
                with self._change(namespace) as space:
                    self._place_runs_of(space, key.name)

    def _shared_defaults(self, namespace: str, name: str) -> Defaults:
        """The defaults of a component of a namespace, which has no Component of that name with settings."""
        shared = self._cluster_defaults.get(name)
        if shared is None or self._caches.components.document(Key(namespace, name)) is not None:
            return DEFAULTS
        return shared

    def _place_runs_of(self, space: _Namespace, component: str) -> None:
        """Update the queue after the defaults of a component have changed."""
        for name in [name for name, facts in space.facts.items() if facts.component == component]:
            self._wake(space.name, space.place(name))
            self._look(Key(space.name, name))

    def _storage_changed(self, key: Key) -> None:
        if key.namespace not in self._namespaces:
            return  # its limit is read when the namespace has a run
        with self._change(key.namespace) as space:
            before, space.queue.limit = space.queue.limit, self._limit_of(key.namespace)
            if space.queue.limit != before:
                self._wake(key.namespace, space.queue.front())

    @contextmanager
    def _change(self, namespace: str) -> Iterator[_Namespace]:
        """Yield the state of a namespace for a change. After an error in the block, its queue is rebuilt.

        The error is raised; the caller that reported the change logs and counts it.
        """
        space = self._namespaces.get(namespace)
        if space is None:
            space = self._namespaces[namespace] = _Namespace(namespace, partial(self._shared_defaults, namespace))
            space.queue.limit = self._limit_of(namespace)
        if space.is_stale:
            _log.warning("the queue of namespace %s is derived anew, after an error in an earlier change", namespace)
            space.derive()
            self._wake(namespace, space.queue.front())
        try:
            yield space
        except BaseException:
            space.is_stale = True
            raise
        finally:
            if space.is_empty:
                del self._namespaces[namespace]

    def _limit_of(self, namespace: str) -> int | None:
        return limit_of([json.loads(item) for item in self._caches.storages.of_namespace(namespace)], self._limit)

    def _wake(self, namespace: str, runs: Iterable[str]) -> None:
        for name in self._namespaces[namespace].queue.in_order(runs):
            self._look(Key(namespace, name))


def _keep_place(space: _Namespace, name: str, run_uid: str, pod: PodView) -> set[str]:
    """Record that a pod of an unknown run keeps its place: the run was deleted earlier, or is listed later."""
    known, who = space.facts.get(name), (name, run_uid)
    if who in space.superseded or (known is not None and known.order.uid == run_uid):
        return set()
    space.superseded[who] = entry = entry_of_pod(pod, name, run_uid)
    return space.queue.put(entry)


def _return(space: _Namespace, name: str, run_uid: str) -> set[str]:
    """Handle that a run exists, so its own status says whether it has a place. Returns other runs to reconcile."""
    left = space.superseded.pop((name, run_uid), None)
    return set() if left is None else space.queue.remove(left.name)


def _leave(space: _Namespace, facts: RunFacts) -> set[str]:
    """Handle that another run has taken this run's name; its pods keep its place. Returns other runs to reconcile."""
    who = facts.name, facts.order.uid
    moved = space.queue.remove(facts.name)
    if who not in space.pods:
        return moved
    defaults = space.defaults_of(facts)
    name = f"{facts.name} (deleted, {facts.order.uid})"
    space.superseded[who] = entry = replace(entry_of(facts, defaults, placed=True), name=name)
    return moved | space.queue.put(entry)
