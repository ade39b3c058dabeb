"""The tables that are measured with are well-formed and the same each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.harness import csvfiles
from componentrun.csv.text import check_rows, read_header

if TYPE_CHECKING:
    from pathlib import Path


def check(file: Path) -> int:
    content = file.read_bytes()

    def read(length: int, offset: int) -> bytes:
        return content[offset : offset + length]

    header = read_header(read, len(content), file.name)
    return check_rows(read, header.data_offset, len(content), header.columns, file.name)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COMPONENTRUN_HOME", str(tmp_path))


def test_the_large_table_is_well_formed_and_nearly_as_large_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvfiles, "LARGE_BYTES", 2**20)
    file = csvfiles.large()
    assert 2**20 - 200 < file.stat().st_size <= 2**20
    assert check(file) > 10_000
    assert not list(file.parent.glob("*.part"))


def test_small_tables_are_well_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvfiles, "SMALL_TABLES", 3)
    files = sorted(csvfiles.small().iterdir())
    assert [file.name for file in files] == ["table0000.csv", "table0001.csv", "table0002.csv"]
    assert all(0 < file.stat().st_size <= 4096 and check(file) > 50 for file in files)
