"""Hosts that did not respond a moment ago. They are not asked again for some seconds.

So runs do not hold slots of their Storage while they wait for a host that is away. Namespaces do not share what is
remembered: one may have used up a limit that another one has not.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.core.builds.errors import BuildProblem, GitAwayError
from componentrun.registry import errors
from componentrun.registry.errors import RegistryAwayError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

__all__ = ["AwayHosts", "git_timeout", "registry_timeout"]

AwayError = RegistryAwayError | GitAwayError

_AWAY: Final = timedelta(seconds=5)
"""How long a host that did not respond is not asked again."""
_LONGEST_AWAY: Final = timedelta(minutes=1)
"""Even if it asks for more with Retry-After."""
_MOST_AWAY: Final = 1024
_LONGEST_LOOKUP: Final = 30.0
"""Seconds for all requests of one look-up."""


def registry_timeout(host: str) -> AwayError:
    """The error of a registry that answers too slowly."""
    return errors.away(host, f"looking up the image took longer than {_LONGEST_LOOKUP:.0f} s")


def git_timeout(host: str) -> AwayError:
    """The error of a git host that answers too slowly."""
    summary = f"git host `{host}` did not respond: looking up the commit took longer than {_LONGEST_LOOKUP:.0f} s"
    return GitAwayError(BuildProblem.GIT_AWAY, summary, "Check whether the operator can reach the git host.")


class AwayHosts:
    """Remembers until when a host is not asked, and why, by namespace and host."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """`clock` returns the API server's time."""
        self._clock = clock
        self._away: OrderedDict[tuple[str, str], tuple[datetime, AwayError]] = OrderedDict()

    @asynccontextmanager
    async def asking(self, namespace: str, host: str, timed_out: Callable[[str], AwayError]) -> AsyncIterator[None]:
        """Limit the time of a look-up, and remember that a host is away.

        A host that answers slowly, page by page, must not hold a run.

        Args:
            namespace: namespace of the run.
            host: the registry or git host.
            timed_out: makes the error if the time is over.

        Raises:
            RegistryAwayError, GitAwayError: the time is over, or the host did not respond a moment ago.
        """
        key = namespace, host
        until, problem = self._away.get(key, (None, None))
        if until is not None and problem is not None and timedelta() < until - self._clock() <= _LONGEST_AWAY:
            raise _again(problem)
        try:
            async with asyncio.timeout(_LONGEST_LOOKUP):
                yield
        except TimeoutError as error:
            away = timed_out(host)
            self._note(key, away)
            raise away from error
        except (RegistryAwayError, GitAwayError) as error:
            self._note(key, error)
            raise

    def _note(self, key: tuple[str, str], error: AwayError) -> None:
        asked = error.retry_after if isinstance(error, RegistryAwayError) else 0
        wait = min(max(timedelta(seconds=asked), _AWAY), _LONGEST_AWAY)
        self._away[key] = self._clock() + wait, error
        self._away.move_to_end(key)
        if len(self._away) > _MOST_AWAY:
            self._away.popitem(last=False)


def _again(error: AwayError) -> AwayError:
    """A new error, because one that was raised keeps its traceback."""
    if isinstance(error, RegistryAwayError):
        return RegistryAwayError(error.problem, error.summary, error.advice)
    return GitAwayError(error.problem, error.summary, error.advice)
