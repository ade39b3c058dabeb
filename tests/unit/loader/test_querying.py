"""Queries in DuckDB, apart from the catalog (tests/integration/loader/test_queries.py)."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from componentrun.loader.reading.querying import answer_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _heard_sigint() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also if the tests are a background job, for which a shell ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heard_sigint")
def test_ctrl_c_ends_a_query_that_is_running(tmp_path: Path) -> None:
    def started(value: int) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return value

    with duckdb.connect() as connection:
        connection.create_function("started", started, ["BIGINT"], "BIGINT")
        endless = "range(1000000000) a, range(1000000000) b WHERE started(0) + a.range + b.range < 0"
        answer = answer_of(connection, f"SELECT count(*) FROM {endless}", str(tmp_path))  # noqa: S608 - numbers
        with pytest.raises(KeyboardInterrupt):
            answer.rows(None)
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_numbers_that_json_would_round_are_text(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        query = "SELECT 12345678901234567890.12::DECIMAL(38, 2) AS d, 1::HUGEINT AS h, 2 AS n"
        path, rows = answer_of(connection, query, str(tmp_path)).save("json", None)
        found = Path(path).read_text(encoding="utf-8")
    assert (rows, found) == (1, '[\n\t{"d":"12345678901234567890.12","h":"1","n":2}\n]\n')
