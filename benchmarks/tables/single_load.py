"""`python -m benchmarks.tables.single_load`: run one load like a loader, and print its cost.

The request contains keys, so it is read from standard input. The cost excludes the start of the process.
"""

from __future__ import annotations

import json
import os
import sys
import time

from benchmarks.harness import usage
from benchmarks.harness.sandbox import SHARE
from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.loading.load import load
from componentrun.storage.store.places import decode
from componentrun.wire.documents import from_json
from componentrun.wire.loader import LoadRequest


def main(scratch: str) -> None:
    """Process the request."""
    request = from_json(LoadRequest, sys.stdin.buffer.read())
    catalog = Catalog(decode(request.storage))
    begun, cpu = time.monotonic(), time.process_time()
    load(catalog, request, scratch, share=SHARE)
    found = {
        "seconds": time.monotonic() - begun,
        "cpu": time.process_time() - cpu,
        # `ru_maxrss` would start with the memory of the parent process.
        "peak": usage.peak_mib(os.getpid()),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
