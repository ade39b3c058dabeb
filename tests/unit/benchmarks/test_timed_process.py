"""Measuring a process."""

from __future__ import annotations

import sys

import pytest

from benchmarks.harness import timed_process

MIB = 2**20


def test_the_memory_of_a_process_and_its_children_is_counted_together() -> None:
    hold = f"block = b'x' * {30 * MIB}; import os; child = os.fork(); more = b'y' * {20 * MIB}; "
    program = hold + "import time; time.sleep(0.5); child and os.waitpid(child, 0)"
    ended = timed_process.run([sys.executable, "-c", program], {}, memory=True)
    # 30 are shared by the two, 20 belong to each.
    assert 70 < ended.peak_mib < 110


def test_without_looking_there_is_no_memory() -> None:
    ended = timed_process.run([sys.executable, "-c", "pass"], {})
    assert ended.peak_mib == 0
    assert ended.seconds > 0


def test_a_process_that_fails_is_told_with_its_words() -> None:
    with pytest.raises(RuntimeError, match="went wrong"):
        timed_process.run([sys.executable, "-c", "import sys; sys.exit('went wrong')"], {})
