"""Concurrent requests to a store, within a limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

__all__ = ["CONCURRENCY", "gather_bounded"]

CONCURRENCY: Final = 32
"""Maximum number of concurrent requests of one call."""

Item = TypeVar("Item")
Result = TypeVar("Result")


async def gather_bounded(
    function: Callable[[Item], Coroutine[object, object, Result]], items: Iterable[Item]
) -> list[Result]:
    """Call the function for all items, at most `CONCURRENCY` at once; return the results in the order of the items.

    The first error cancels the other calls and is raised unchanged.
    """
    gate = asyncio.Semaphore(CONCURRENCY)

    async def one(item: Item) -> Result:
        async with gate:
            return await function(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except ExceptionGroup as errors:
        # Not `except*`: before Python 3.11.4, an exception raised inside it is wrapped in a group again.
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
