"""Runs in an interpreter of its own, with a DuckDB that has its extension for S3: SQL statements in, rows out, as JSON.

The DuckDB of the product has no such extension, and the extension is made for one release of DuckDB only.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb
import duckdb_extension_httpfs  # type: ignore[import-not-found]  # only there


def main() -> None:
    """Answer the statements on stdin: the rows of the last one, or what went wrong."""
    told = json.load(sys.stdin)
    connection = duckdb.connect(config={"extension_directory": told["folder"]})
    (extension,) = Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension")
    connection.execute(f"INSTALL '{extension}'")
    connection.execute("SET TimeZone = 'UTC'")
    rows: list[tuple[object, ...]] = []
    try:
        for statement in told["statements"]:
            rows = connection.execute(statement).fetchall()
    except duckdb.Error as error:
        json.dump({"error": str(error)}, sys.stdout)
    else:
        json.dump({"rows": rows}, sys.stdout, default=str)


if __name__ == "__main__":
    main()
