"""Repeats requests to a registry or a git host that is away."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

from componentrun.core.builds.errors import BuildProblem, GitAwayError
from componentrun.registry.errors import RegistryAwayError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["with_git_retries", "with_retries"]

_T = TypeVar("_T")
_WAITS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before each further attempt."""
_GIT_WAITS: Final = _WAITS[:4]
"""The same for a git host. Nothing was built yet, so not much is lost if the build has to be started again."""
_LONGEST_WAIT: Final = 60.0
"""Even if the registry asks for more."""


async def with_retries(
    attempt: Callable[[], Awaitable[_T]], pause: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> _T:
    """The result of the first attempt that the registry serves.

    Args:
        attempt: one attempt; it has to have the same effect if it is repeated.
        pause: waits for a number of seconds.

    Raises:
        RegistryAwayError: the registry was away in all attempts; the error of the last one.
    """
    for wait in _WAITS:
        try:
            return await attempt()
        except RegistryAwayError as error:
            await pause(min(max(wait, error.retry_after), _LONGEST_WAIT))
    return await attempt()


def with_git_retries(attempt: Callable[[], _T], pause: Callable[[float], None] = time.sleep) -> _T:
    """The result of the first attempt that the git host serves.

    Args:
        attempt: one attempt; it has to have the same effect if it is repeated.
        pause: waits for a number of seconds.

    Raises:
        GitAwayError: the host was away in all attempts, or is not trusted.
    """
    for wait in _GIT_WAITS:
        try:
            return attempt()
        except GitAwayError as error:
            if error.problem is not BuildProblem.GIT_AWAY:
                raise
            pause(wait)
    return attempt()
