"""What can't be read costs the log server nothing that lasts, and keeps nobody else from reading."""

from __future__ import annotations

import asyncio
import gzip
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from componentrun.nodelogs.files import NoLogError
from componentrun.nodelogs.folders import Folders, Where
from componentrun.nodelogs.metrics import Metrics
from componentrun.process import guard as module
from tests.unit.nodelogs.runtime import Runtime
from tests.unit.nodelogs.serving import SHOWN, WHERE, Gate

if TYPE_CHECKING:
    from pathlib import Path


def runtime(root: Path) -> Runtime:
    return Runtime(root / "_".join(WHERE[:3]) / WHERE[3])


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count


async def test_a_log_that_is_none_takes_no_descriptor_each_time_that_it_is_asked_for(tmp_path: Path) -> None:
    written = runtime(tmp_path)
    written.current.unlink()
    written.current.symlink_to("/etc/hostname")
    folders = Folders(str(tmp_path), Metrics())
    before = descriptors()
    for _ in range(20):
        with pytest.raises(NoLogError):
            await folders.answer(Where(*WHERE), ("", 0), 0)
    assert descriptors() == before


async def test_a_compressed_file_that_is_damaged_does_not_end_the_log_server(tmp_path: Path) -> None:
    written = runtime(tmp_path)
    written.print(b"first")
    folders = Folders(str(tmp_path), Metrics())
    await folders.answer(Where(*WHERE), ("", 0), 0)
    whole = gzip.compress(b"x" * 100)
    (written.folder / "0.log.20261124-000000.gz").write_bytes(whole[:10] + b"\xff" * 20)
    with suppress(TimeoutError):
        async with asyncio.timeout(1.5):
            await folders.tend()
    with pytest.raises(OSError, match="can't be read"):
        await folders.answer(Where(*WHERE), ("", 0), 0)
    folders.close()


async def test_strangers_do_not_make_the_collector_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_KNOWN", 8)
    gate = Gate()
    assert await gate.admits()
    for number in range(20):
        assert not await gate.admits(f"Bearer {number}")
    gate.reviewer.hold = asyncio.Event()
    waiting = [asyncio.create_task(gate.admits(f"Bearer more {number}")) for number in range(8)]
    await asyncio.sleep(0)
    assert await gate.admits(SHOWN), "it is known, and does not stand in the strangers' line"
    gate.reviewer.hold.set()
    assert await asyncio.gather(*waiting) == [False] * 8
    assert len(gate.guard._known) == 8
