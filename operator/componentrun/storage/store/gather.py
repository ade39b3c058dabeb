"""Many requests to a store at once, but not too many."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

__all__ = ["CONCURRENCY", "gather_bounded"]

CONCURRENCY: Final = 32
"""Requests under way at once for one call."""

Item = TypeVar("Item")
Result = TypeVar("Result")


async def gather_bounded(
    function: Callable[[Item], Coroutine[object, object, Result]], items: Iterable[Item]
) -> list[Result]:
    """Results of the function for all items in their order, at most `CONCURRENCY` under way at once.

    The first error ends the others and is raised as it is.
    """
    gate = asyncio.Semaphore(CONCURRENCY)

    async def one(item: Item) -> Result:
        async with gate:
            return await function(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except ExceptionGroup as errors:
        # Not `except*`: before Python 3.11.4 what is raised in there comes out wrapped in a group again.
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
