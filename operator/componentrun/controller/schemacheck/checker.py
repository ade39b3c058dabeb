"""Has documents checked against JSON Schemas, for all namespaces.

Namespaces take turns, and one of them never occupies all processes. A check that was stopped is not tried again in its
namespace for some minutes. Other parameters are checked against the same schema, also by other namespaces: how much a
check needs depends on both.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from componentrun.controller.schemacheck.process import COMMAND, CheckProcess, StoppedError
from componentrun.controller.schemacheck.worker import CPU_SECONDS, MEMORY_BYTES
from componentrun.controller.work.fairslots import FairSlots
from componentrun.core.schema.documents import CheckResult
from componentrun.errors import Reason, TransientError
from componentrun.wire.documents import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.core.schema.documents import CheckRequest

__all__ = ["SchemaChecker"]

_log = logging.getLogger(__name__)

_PROCESSES: Final = 2
_REFUSED_SECONDS: Final = 300.0
_MOST_REFUSED: Final = 1_000
_OVER_LIMIT: Final = frozenset({-signal.SIGXCPU, -signal.SIGABRT, -signal.SIGSEGV})
"""How the process ends if a check takes too much CPU time, memory or stack. Other ends are no fault of the check."""


class SchemaChecker:
    """Checks documents. Not thread-safe: call it only from the event loop's thread."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        """Start no process yet; `command` starts one."""
        self._slots = FairSlots(_PROCESSES)
        self._free = [CheckProcess(command) for _ in range(_PROCESSES)]
        self._all = tuple(self._free)
        self._refused: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    async def close(self) -> None:
        """End the processes."""
        for process in self._all:
            await process.close()

    async def check(self, namespace: str, request: CheckRequest) -> CheckResult:
        """Check a document. A check that needs too much CPU time or memory has the result `unusable`.

        Args:
            namespace: whose turn it uses.
            request: the document and the schemas.

        Raises:
            TransientError: no process could be started, it was killed, or the machine is too busy.
        """
        key = _digest(namespace, request)
        async with self._slots.hold(namespace):
            until, why = self._refused.get(key, (0.0, ""))
            if until > asyncio.get_running_loop().time():
                return CheckResult(unusable=why)
            process = self._free.pop()  # the one used last, so that the others may end
            try:
                return await process.check(request)
            except StoppedError as error:
                if error.status not in _OVER_LIMIT:
                    raise TransientError(
                        f"the process that checks parameters ended with status {error.status}", Reason.INTERNAL
                    ) from error
                return CheckResult(unusable=self._refuse(key, request.schemas[0].name, error.status))
            finally:
                self._free.append(process)

    def _refuse(self, key: bytes, name: str, status: int) -> str:
        why = f"the check needs more than {MEMORY_BYTES // 2**20} MiB of memory, or too many steps"
        if status == -signal.SIGXCPU:
            why = f"the check takes more than {CPU_SECONDS} s of CPU time"
        _log.warning("a check against a JSON Schema was stopped (status %d): %s", status, why)
        why = f"{name}: {why}; expected simpler parameters or a simpler schema"
        self._refused[key] = asyncio.get_running_loop().time() + _REFUSED_SECONDS, why
        if len(self._refused) > _MOST_REFUSED:
            self._refused.popitem(last=False)
        return why


def _digest(namespace: str, request: CheckRequest) -> bytes:
    text = f"{namespace}\0{to_json(request)}"
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
