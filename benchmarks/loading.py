"""`python -m benchmarks.loading`: one load as a loader does it, in a process of its own, and what it cost.

The request is on stdin: it holds keys. What is told is of the load alone: a loader has started long before.
"""

from __future__ import annotations

import json
import os
import sys
import time

from benchmarks import costs
from benchmarks.lake import SHARE
from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.loading.load import load
from componentrun.storage.store.places import decode
from componentrun.wire.documents import from_json
from componentrun.wire.loader import LoadRequest


def main(scratch: str) -> None:
    """Carry the request out."""
    request = from_json(LoadRequest, sys.stdin.buffer.read())
    catalog = Catalog(decode(request.storage))
    begun, cpu = time.monotonic(), time.process_time()
    load(catalog, request, scratch, share=SHARE)
    found = {
        "seconds": time.monotonic() - begun,
        "cpu": time.process_time() - cpu,
        # `ru_maxrss` would begin with what the process held that started this one.
        "peak": costs.peak_mib(os.getpid()),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
