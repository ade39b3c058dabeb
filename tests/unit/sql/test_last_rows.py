"""Where a plain object ends: with its last row, whatever ends that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from componentrun.sql.files import with_header_columns
from componentrun.sql.query import deliver
from componentrun.sql.tables import Mapping, Step

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r"])
def test_the_last_row_of_an_object(tmp_path: Path, end: bytes) -> None:
    file = tmp_path / "object.csv"
    file.write_bytes(b"id,name\r\n1,x\r\n2,y" + end)
    columns = with_header_columns(str(file), "object.csv")
    target = tmp_path / "table.csv"
    mapping = Mapping(columns, (Step(columns),), limit=10)
    assert deliver(mapping, [[str(file)]], str(target), str(tmp_path)) == 2
    assert target.read_bytes() == b"id,name\n1,x\n2,y\n"
