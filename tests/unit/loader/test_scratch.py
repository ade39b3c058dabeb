"""The share of the loader's disk and memory that one load has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.loader.catalog.state import next_table
from componentrun.loader.loading.loads import TableLoad
from componentrun.loader.loading.rows import compute
from componentrun.loader.scratch import Scratch
from componentrun.sql import query as tablequery
from componentrun.sql.query import run_statements
from componentrun.wire.agents import SliceWritten

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20


def a_load(size: int) -> TableLoad:
    part = SliceWritten("k", size, 1, "e")
    return TableLoad("out.c-main.a", "a.csv", ("k", "v"), ("k",), slices=(part,))


def test_a_load_that_needs_more_than_its_share_is_refused_before_anything_is_brought(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path), 10 * MIB)
    scratch.need([a_load(5 * MIB)], "out.c-main.a")
    with pytest.raises(PlatformError) as caught:
        scratch.need([a_load(3 * MIB), a_load(3 * MIB)], "out.c-main.a")
    assert caught.value.reason == Reason.PUBLISH_FAILED
    assert not isinstance(caught.value, TransientError)
    assert "`out.c-main.a` can't be loaded: each load may use 10 MiB of the loader's disk" in caught.value.message
    assert "needs 12 MiB there. Set `loader.scratchMiB`" in caught.value.message


def test_what_other_tables_of_the_load_have_there_counts(tmp_path: Path) -> None:
    (tmp_path / "staged-0").mkdir()
    (tmp_path / "staged-0" / "0-0.csv").write_bytes(b"x" * 5 * MIB)
    scratch = Scratch(str(tmp_path), 10 * MIB)
    scratch.need([a_load(2 * MIB)], "out.c-main.a")
    with pytest.raises(PlatformError):
        scratch.need([a_load(3 * MIB)], "out.c-main.a")
    assert scratch.spill_bytes([a_load(2 * MIB)]) == 3 * MIB


def test_without_a_size_the_disk_is_the_limit(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path), None)
    scratch.need([a_load(2**50)], "out.c-main.a")
    assert scratch.spill_bytes([a_load(2**50)]) is None


def test_what_duckdb_spills_ends_at_the_share_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tablequery, "memory_for_queries", lambda _: 24 * MIB)
    (tmp_path / "rows.csv").write_text("".join(f'"{number:0>100}","{number}"\n' for number in range(600_000)))
    size = (tmp_path / "rows.csv").stat().st_size
    load = a_load(size)
    scratch = Scratch(str(tmp_path), 2 * size + MIB)
    with pytest.raises(PlatformError) as caught:
        compute(
            next_table(None, [load], typed=False, now=0), [load], [[str(tmp_path / "rows.csv")]], str(tmp_path),
            scan=None, urls={}, scratch=scratch,
        )  # fmt: skip
    assert not isinstance(caught.value, TransientError)
    assert "needs more beside its rows" in caught.value.message


@pytest.mark.parametrize(("memory", "share", "expected"), [(2**31, 4, 2**29), (2**28, 4, 2**26), (2**26, 4, 2**26)])
def test_each_load_has_its_share_of_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int, share: int, expected: int
) -> None:
    monkeypatch.setattr(tablequery, "memory_for_queries", lambda _: memory)
    ((shown,),) = run_statements(["SELECT current_setting('memory_limit')"], str(tmp_path), share=share)[0]
    assert shown == f"{expected / MIB:.1f} MiB"
