"""Where `--output` goes: all of it or nothing, and never in the place of what is no file."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from componentrun.cli.errors import BadRequestError
from componentrun.cli.terminal.saving import save


def write(file: IO[bytes]) -> int:
    return file.write(b"all")


def test_a_file_is_there_as_a_whole_or_stays_what_it_was(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_bytes(b"before")
    target.chmod(0o600)

    def breaks(file: IO[bytes]) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(target, breaks)
    assert target.read_bytes() == b"before"
    assert save(target, write) == 3
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"all", 0o600)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["a" * 255, "\U0001f600" * 63, "a"])
def test_a_name_may_be_as_long_as_a_file_system_takes(tmp_path: Path, name: str) -> None:
    assert save(tmp_path / name, write) == 3
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "a.csv", tmp_path / "link"
    link.symlink_to(target)
    for _ in range(2):
        save(link, write)
        assert (link.is_symlink(), target.read_bytes()) == (True, b"all")


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_bytes)
        save(pipe, write)
        assert read.result() == b"all"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_stays_one_and_says_that_it_is_full() -> None:
    full = Path("/dev/full")
    with pytest.raises(BadRequestError, match="can't write `/dev/full`: No space left on device"):
        save(full, write)
    assert full.is_char_device()


def test_a_folder_is_no_place(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="Is a directory"):
        save(tmp_path, write)
