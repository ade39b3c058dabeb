"""What an error of DuckDB becomes when a load meets it."""

from __future__ import annotations

import duckdb
import pytest

from componentrun.errors import TransientError
from componentrun.loader.loading.rows import _explained
from componentrun.loader.loading.staged import scratch_is_full
from componentrun.sql.query import httpfs_statements

URL = "http://store.test/lake/a.parquet?X-Amz-Algorithm=AWS4&X-Amz-Signature=0123456789abcdef"


@pytest.mark.parametrize("kind", [duckdb.InvalidInputException, duckdb.IOException, duckdb.HTTPException])
def test_signed_urls_appear_in_no_message(kind: type[duckdb.Error]) -> None:
    told = _explained("out.c-main.t", kind(f"No magic bytes found at end of file '{URL}'")).message
    assert "out.c-main.t" in told
    assert "X-Amz" not in told
    assert "0123456789abcdef" not in told


def test_a_disk_that_other_loads_fill_is_no_end_of_a_run() -> None:
    assert isinstance(scratch_is_full("`out.c-main.t`"), TransientError)


def test_certificates_are_verified_with_those_that_the_storage_names() -> None:
    with duckdb.connect() as connection:
        for statement in httpfs_statements("/tmp/authorities.pem"):
            connection.execute(statement)
        said = dict(connection.execute("SELECT name, value FROM duckdb_settings() WHERE name LIKE '%cert%'").fetchall())
    assert said["enable_server_cert_verification"] == "true"
    assert said["ca_cert_file"] == "/tmp/authorities.pem"
