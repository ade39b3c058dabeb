"""Memory of blocks that were freed serves the next ones."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

BLOCKS = 200
PAGES_OF_A_BLOCK = 2**19 // 4096
PROGRAM = f"""
import resource, sys
from componentrun.agent.memory import keep_blocks
if sys.argv[1] == "kept":
    keep_blocks()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({BLOCKS}):
    first = b"x" * 2**19
    second = b"y" * 2**19
    del first, second
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps what it likes")
def test_pages_of_freed_blocks_are_not_asked_for_again() -> None:
    faults = {
        way: int(subprocess.run([sys.executable, "-c", PROGRAM, way], capture_output=True, check=True).stdout)
        for way in ("as it is", "kept")
    }
    assert faults["kept"] < 10 * PAGES_OF_A_BLOCK, faults
