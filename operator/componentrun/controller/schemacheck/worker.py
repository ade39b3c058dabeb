"""A process that checks documents against JSON Schemas: one JSON line for each request, and one for its answer.

It limits itself: the kernel ends it if a check takes too much CPU time, and it gets no more memory than its limit.
CPU time and not time, so that a busy machine changes no outcome.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Final

from componentrun.core.schema.check import check
from componentrun.core.schema.documents import CheckRequest, CheckResult
from componentrun.wire.documents import from_json, to_json

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["CPU_SECONDS", "MEMORY_BYTES", "serve"]

CPU_SECONDS: Final = 2
"""CPU time of one check. A schema of the maximum size with thousands of mismatches takes 0.3 s."""
MEMORY_BYTES: Final = 96 * 2**20
"""Memory of the process besides files. It starts with about 10 MiB. Two of them share the operator's container."""


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    for line in requests:
        _allow_more_cpu_time()
        try:
            answer = to_json(check(from_json(CheckRequest, line)))
        except MemoryError:
            answer = to_json(CheckResult(unusable=f"the check needs more than {MEMORY_BYTES // 2**20} MiB of memory"))
        answers.write(f"{answer}\n".encode())
        answers.flush()


def _allow_more_cpu_time() -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # The limit is in whole seconds. The second added is the one that has begun.
    limit = int(usage.ru_utime + usage.ru_stime) + 1 + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
