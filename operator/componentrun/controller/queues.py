"""The queues of all namespaces, fed by the caches: whose turn it is is decided in `core.queue`.

A change of one run, one pod, a Component or a Storage changes a queue, and the runs that may now start, or have to
end, are put on the work queue at once: nobody asks again and again. What is being started is claimed before anything is
sent, so that no other worker starts a second one of its group; after that the run's status, and its pod, say that it
has a place. A restarted operator has listed both before it starts anything.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from componentrun.controller.caches import Key, version_of
from componentrun.core.concurrency import DEFAULTS, defaults_of, entry_of, facts_of, limit_of
from componentrun.core.queue import START, Queue
from componentrun.core.waiting import occupies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from componentrun.api.componentrun import WaitingFor
    from componentrun.controller.caches import Caches
    from componentrun.core.concurrency import Defaults, RunFacts
    from componentrun.core.observed import PodView
    from componentrun.core.queue import Turn

__all__ = ["Queues"]


class Queues:
    """See the module. Not thread-safe, and nothing in it waits."""

    def __init__(self, caches: Caches, look: Callable[[Key], object], limit: int | None = None) -> None:
        """Listen to the caches.

        Args:
            caches: empty ones.
            look: called with each run that is to be looked at again.
            limit: how many runs of a namespace may have a pod where its Storage says nothing; None: no limit.
        """
        self._caches = caches
        self._look = look
        self._limit = limit
        self._namespaces: dict[str, Queue] = {}
        self._facts: dict[Key, RunFacts] = {}
        self._pods: dict[tuple[Key, str], set[str]] = {}
        """Of each run, by its name and uid, the pods that keep its place."""
        self._left: dict[tuple[Key, str], str] = {}
        """Names in the queue of runs whose pods still run though another run has their name."""
        self._claims: set[Key] = set()
        self._defaults: dict[Key, Defaults] = {}
        caches.runs.on_run = self._run_changed
        caches.pods.on_pod = self._pod_changed
        caches.components.listen(self._component_changed)
        caches.storages.listen(self._storage_changed)

    def turn(self, key: Key) -> Turn:
        """Whether this run may start, what it waits for, and whether another one takes its place."""
        queue = self._namespaces.get(key.namespace)
        return START if queue is None else queue.turn(key.name)

    def claim(self, key: Key, *, starts: bool) -> None:
        """This run is about to be started, or is not after all."""
        if starts == (key in self._claims):
            return
        (self._claims.add if starts else self._claims.discard)(key)
        self._place(key)

    def quota_full(self, key: Key, said: str) -> None:
        """A quota refused this run's pod: it keeps no place, and those behind it wait for it."""
        self.claim(key, starts=False)
        self._queue(key.namespace).quota_full(key.name, said)

    def counts(self) -> Mapping[WaitingFor, int]:
        """How many runs wait for what."""
        total: Counter[WaitingFor] = Counter()
        for queue in self._namespaces.values():
            total.update(queue.counts())
        return total

    def _run_changed(self, key: Key, run: Mapping[str, Any] | None) -> None:
        known = self._facts.get(key)
        if run is None or known is None or known.order.uid != run["metadata"].get("uid"):
            # What was being started is gone; a later run of its name waits for its own turn.
            self._claims.discard(key)
        if run is not None:
            if known is not None and known.order.uid != run["metadata"].get("uid"):
                self._leave(key, known)
            self._facts[key] = facts_of(run, version_of(run), known)
        elif known is None or not self._pods.get((key, known.order.uid)):
            # With a pod that still runs, it keeps its place until that is gone, too.
            self._facts.pop(key, None)
        self._place(key)

    def _leave(self, key: Key, facts: RunFacts) -> None:
        """Another run has this one's name; its place is kept by its pods, not by the other one."""
        who = key, facts.order.uid
        queue = self._queue(key.namespace)
        moved = queue.remove(facts.name)
        if self._pods.get(who):
            self._left[who] = name = f"{facts.name} (deleted, {facts.order.uid})"
            defaults = self._defaults.get(Key(key.namespace, facts.component or ""), DEFAULTS)
            queue.put(replace(entry_of(facts, defaults, placed=True), name=name))
        self._wake(key.namespace, moved)

    def _pod_changed(self, key: Key, run_uid: str, uid: str, pod: PodView) -> None:
        who = key, run_uid
        pods = self._pods.setdefault(who, set())
        (pods.add if occupies(pod) else pods.discard)(uid)
        if not pods:
            del self._pods[who]
            left = self._left.pop(who, None)
            if left is not None:
                self._wake(key.namespace, self._queue(key.namespace).remove(left))
            elif self._caches.runs.document(key) is None:
                self._facts.pop(key, None)
        self._place(key)
        if pod.gone or pod.ended:
            # A quota counts the pod no more.
            self._wake(key.namespace, self._queue(key.namespace).refused())

    def _component_changed(self, key: Key) -> None:
        document = self._caches.components.document(key)
        defaults = DEFAULTS if document is None else defaults_of(json.loads(document))
        if defaults == self._defaults.get(key, DEFAULTS):
            return
        self._defaults[key] = defaults
        for run, facts in list(self._facts.items()):
            if run.namespace == key.namespace and facts.component == key.name:
                self._place(run)
                self._look(run)

    def _storage_changed(self, key: Key) -> None:
        queue = self._queue(key.namespace)
        before, queue.limit = queue.limit, self._limit_of(key.namespace)
        if queue.limit != before:
            self._wake(key.namespace, queue.front())

    def _place(self, key: Key) -> None:
        """Have the queue say what is known of the run."""
        queue = self._queue(key.namespace)
        facts = self._facts.get(key)
        if facts is not None and facts.stage in {"started", "ended"}:
            self._claims.discard(key)
        claimed = key in self._claims
        running = facts is not None and (facts.stage == "started" or bool(self._pods.get((key, facts.order.uid))))
        if facts is not None and (running or claimed or facts.stage == "waiting"):
            defaults = self._defaults.get(Key(key.namespace, facts.component or ""), DEFAULTS)
            entry = entry_of(facts, defaults, placed=running or claimed, claimed=claimed and not running)
            moved = queue.put(entry)
        else:
            moved = queue.remove(key.name)
            if facts is not None and facts.stage == "ended":
                del self._facts[key]
        self._wake(key.namespace, moved)

    def _queue(self, namespace: str) -> Queue:
        queue = self._namespaces.get(namespace)
        if queue is None:
            queue = self._namespaces[namespace] = Queue()
            queue.limit = self._limit_of(namespace)
        return queue

    def _limit_of(self, namespace: str) -> int | None:
        return limit_of([json.loads(item) for item in self._caches.storages.of_namespace(namespace)], self._limit)

    def _wake(self, namespace: str, runs: Iterable[str]) -> None:
        for name in self._queue(namespace).in_order(runs):
            self._look(Key(namespace, name))
