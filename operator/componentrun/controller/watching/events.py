"""Applies events: updates a cache and queues a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.controller.watching.caches import Caches, Key, run_of_pod
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, PODS, RUNS, STORAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.controller.work.queue import WorkQueue

__all__ = ["DELETED", "MODIFIED", "take_in"]

DELETED = "DELETED"
"""Type of the event that reports an object's deletion."""
MODIFIED = "MODIFIED"
"""Type of the event that reports a change; for a cache, a creation (ADDED) is the same."""


def take_in(caches: Caches, queue: WorkQueue[Key], plural: str, kind: str | None, obj: Mapping[str, Any]) -> None:
    """Apply an event to a cache. If that changes the cache, queue the run concerned.

    Objects in namespaces of other shards are ignored; ClusterComponents belong to all shards.

    Args:
        caches: the latest known objects.
        queue: work queue of runs.
        plural: plural name of the resource.
        kind: ADDED, MODIFIED or DELETED; None for an object of a listing.
        obj: the object as the API server sent it.
    """
    key, uid, is_deleted = Key.of(obj), obj["metadata"]["uid"], kind == DELETED
    if plural != CLUSTER_COMPONENTS.plural and not caches.shard.owns(key.namespace):
        return
    match plural:
        case RUNS.plural:
            if caches.runs.gone(key, uid) if is_deleted else caches.runs.seen(obj):
                queue.add(key)
        case PODS.plural:
            run = run_of_pod(obj)
            is_news = caches.pods.deleted(obj) if is_deleted else caches.pods.seen(obj, watched=kind is not None)
            if is_news and run is not None:
                queue.add(run)
        case COMPONENTS.plural | CLUSTER_COMPONENTS.plural | STORAGES.plural:
            # Runs read these objects when they start, so a change queues no run.
            cache = caches.storages if plural == STORAGES.plural else caches.components_of(key.namespace)
            if is_deleted:
                cache.gone(key, uid)
            else:
                cache.seen(obj)
        case _:
            raise ValueError(f"an event of {plural}, which is not watched")
