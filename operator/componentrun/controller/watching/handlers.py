"""What an event does: it updates a cache and puts a key on the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.controller.watching.caches import Caches, Key, run_of_pod
from componentrun.process.kubernetes.resources import COMPONENTS, PODS, RUNS, STORAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.controller.work.queue import WorkQueue

__all__ = ["DELETED", "take_in"]

DELETED = "DELETED"
"""Kind of the event that tells of an object's end."""


def take_in(caches: Caches, queue: WorkQueue[Key], plural: str, kind: str | None, obj: Mapping[str, Any]) -> None:
    """Let an event change a cache, and have the run that it is about looked at if it did.

    Args:
        caches: what was seen last.
        queue: of runs.
        plural: the resource.
        kind: ADDED, MODIFIED, DELETED; None for an object that was listed.
        obj: the object as the API server sent it.
    """
    key, uid, gone = Key.of(obj), obj["metadata"]["uid"], kind == DELETED
    match plural:
        case RUNS.plural:
            if caches.runs.gone(key, uid) if gone else caches.runs.seen(obj):
                queue.add(key)
        case PODS.plural:
            run = run_of_pod(obj)
            if (caches.pods.deleted(obj) if gone else caches.pods.seen(obj)) and run is not None:
                queue.add(run)
        case COMPONENTS.plural | STORAGES.plural:
            # What runs only refer to: nothing is started by its change.
            cache = caches.components if plural == COMPONENTS.plural else caches.storages
            if gone:
                cache.gone(key, uid)
            else:
                cache.seen(obj)
        case _:
            raise ValueError(f"an event of {plural}, which is not watched")
