"""Drops events of other shards from kopf's streams, before kopf starts a task for their object.

kopf takes 0.7 ms for each event even if no handler is called for it, which is most of what a run costs (decision 0089).
It has no option for this: its filters apply to handlers, and the API server can't select namespaces by their hash.
"""

from __future__ import annotations

from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from kopf._cogs.clients import watching

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from componentrun.core.lease.shard import Shard

__all__ = ["own_events_only"]


@contextmanager
def own_events_only(shard: Shard, note_listing: Callable[[], object]) -> Iterator[None]:
    """Within the block, kopf's streams contain no events of objects in namespaces of other shards.

    Args:
        shard: the namespaces that this operator owns.
        note_listing: called for each dropped object of a listing, because the listing may contain no others.
    """
    if shard.count == 1:
        yield
        return
    original: Any = watching.infinite_watch

    async def own_events(**arguments: Any) -> AsyncGenerator[Any, None]:
        async with aclosing(original(**arguments)) as events:
            async for event in events:
                if _is_of_another_shard(event, shard):
                    if event["type"] is None:
                        note_listing()
                    continue
                yield event

    watching.infinite_watch = own_events
    try:
        yield
    finally:
        watching.infinite_watch = original


def _is_of_another_shard(event: Any, shard: Shard) -> bool:
    """Whether this is the event of an object, and not a bookmark, in a namespace of another shard."""
    if not isinstance(event, dict) or event["type"] == "BOOKMARK":
        return False
    namespace = event["object"]["metadata"].get("namespace")
    return namespace is not None and not shard.owns(namespace)
