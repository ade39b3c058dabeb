"""A local file that becomes a table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from componentrun.storage.access.upload import store_table
from componentrun.storage.store.keys import TableId

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.storage.store.connection import Store

FOO = TableId.parse("in.c-main.foo")


async def test_a_file_whose_name_is_no_utf_8_is_loaded_as_any_other(store: Store, tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"v\xfdpis.csv")
    file.write_bytes(b"id\n1\n")
    written = await store_table(store, file, FOO, "r", primary_key=(), incremental=False)
    assert (written.source, written.rows) == ("v\\xfdpis.csv", 1)
