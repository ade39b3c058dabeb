"""A process that checks documents against JSON Schemas: started on demand, and ended when it has been idle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

from componentrun.core.schema.documents import CheckResult
from componentrun.errors import Reason, TransientError
from componentrun.wire.documents import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.core.schema.documents import CheckRequest

__all__ = ["COMMAND", "CheckProcess", "StoppedError"]

COMMAND: Final = (sys.executable, "-m", "componentrun.controller.schemacheck")
_MOST_SECONDS: Final = 60.0
"""Time for one check on a machine that is too busy to give it its CPU time."""
_IDLE_SECONDS: Final = 60.0
_LONGEST_ANSWER: Final = 2**20
_VARIABLES: Final = ("PATH", "PYTHONPATH", "LANG", "HOME")
"""Environment of the process, which needs none of the operator's settings."""


class StoppedError(Exception):
    """The process has ended during a check. `status` is its exit status; negative: the signal."""

    def __init__(self, status: int) -> None:
        """Keep the exit status."""
        super().__init__(status)
        self.status = status


class CheckProcess:
    """One process. Serves one check at a time."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start no process yet."""
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def check(self, request: CheckRequest) -> CheckResult:
        """Check a document.

        Raises:
            StoppedError: the check needs too much CPU time or memory.
            TransientError: the process could not be started, or the machine is too busy.
        """
        self._stop_idling()
        process = await self._started()
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                answer = await _exchange(process, f"{to_json(request)}\n".encode(errors="surrogatepass"))
        except TimeoutError:
            await self.close()
            raise TransientError(
                f"the parameters could not be checked within {_MOST_SECONDS:.0f} s, because the machine is busy",
                Reason.INTERNAL,
            ) from None
        except BaseException:
            await self.close()  # the next request would read this one's answer
            raise
        if not answer.endswith(b"\n"):
            self._process = None
            raise StoppedError(await process.wait())
        self._idle = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._end)
        return from_json(CheckResult, answer)

    async def close(self) -> None:
        """End the process."""
        self._stop_idling()
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,  # a traceback could quote secrets
                    limit=_LONGEST_ANSWER,
                    env={name: os.environ[name] for name in _VARIABLES if name in os.environ},
                )
            except OSError as error:
                raise TransientError(
                    f"the process that checks parameters could not be started: {error}", Reason.INTERNAL
                ) from error
        return self._process

    def _stop_idling(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _end(self) -> None:
        """Close the input of the process, so that it ends."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()


async def _exchange(process: asyncio.subprocess.Process, line: bytes) -> bytes:
    """Send a request. Returns the answer, without its end if the process has ended."""
    if process.stdin is None or process.stdout is None:
        raise AssertionError("the process has pipes")
    with contextlib.suppress(ConnectionError):  # it has ended, which the answer shows
        process.stdin.write(line)
        await process.stdin.drain()
    return await process.stdout.readline()
