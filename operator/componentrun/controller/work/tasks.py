"""Tasks that handle the keys of a work queue, for objects other than runs, whose workers are in `workers`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from componentrun.controller.work.queue import ShutDownError
from componentrun.errors import ComponentRunError
from componentrun.process.kubernetes.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from componentrun.controller.watching.caches import Key
    from componentrun.controller.work.queue import WorkQueue

__all__ = ["handle_keys"]

_log = logging.getLogger(__name__)


async def handle_keys(
    queue: WorkQueue[Key], handle: Callable[[Key], Awaitable[bool]], *, tasks: int, what: str
) -> None:
    """Handle the keys of a queue until cancelled. A key that could not be handled is tried again later.

    Args:
        queue: shut down at the end.
        handle: returns whether the key is done; False: it is tried again later.
        tasks: number of keys that are handled at the same time.
        what: what is done, for the log, e.g. `component check`.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(tasks):
                group.create_task(_handle_each(queue, handle, what), name=f"{what} {number}")
    finally:
        queue.shut_down()


async def _handle_each(queue: WorkQueue[Key], handle: Callable[[Key], Awaitable[bool]], what: str) -> None:
    while True:
        try:
            key = await queue.get()
        except ShutDownError:
            return
        try:
            await _try(queue, key, handle, what)
        finally:
            queue.done(key)


async def _try(queue: WorkQueue[Key], key: Key, handle: Callable[[Key], Awaitable[bool]], what: str) -> None:
    try:
        is_done = await handle(key)
    except ConflictError:
        queue.retry(key)  # the event with the change may be under way
    except ComponentRunError as error:
        seconds = queue.retry(key)
        _log.warning("%s of %s failed, again in %.0f s: %s", what, key, seconds, error.message)
    except Exception:  # noqa: BLE001 - a defect that shows in one object must not stop the work on the others
        seconds = queue.retry(key)
        _log.exception("%s of %s failed, again in %.0f s", what, key, seconds)
    else:
        if is_done:
            queue.forget(key)
        else:
            queue.retry(key)
