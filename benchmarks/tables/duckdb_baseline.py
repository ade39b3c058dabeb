"""The baseline: DuckDB with its Iceberg extension in a separate process, with statements that a user would write.

It uses its defaults: all processors, most of the memory. Keys are in its environment.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import duckdb

from benchmarks.harness import timed_process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.loader.catalog.names import IcebergName
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["delete_and_insert", "insert", "merge", "read", "run_duckdb"]

_PROGRAM: Final = """
import json, os, sys, duckdb
connection = duckdb.connect()
for statement in json.loads(os.environ["STATEMENTS"]):
    connection.execute(statement)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""
_EXTENSIONS: Final = ("httpfs", "avro", "iceberg")


def run_duckdb(settings: StoreSettings, statements: Sequence[str]) -> timed_process.Ended:
    """Run statements with the catalog attached as `lake`."""
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "STATEMENTS": json.dumps([*_attach(settings), *statements])}
    ended = timed_process.run([sys.executable, "-c", _PROGRAM], environment)
    return replace(ended, peak_mib=int(ended.said.split()[-1]) / 1024)


def read(table: IcebergName, target: Path, columns: Sequence[str]) -> list[str]:
    """Return statements that write a table to a CSV file."""
    return [f"COPY (SELECT {', '.join(columns)} FROM lake.{table}) TO '{target}' (FORMAT csv, HEADER)"]  # noqa: S608 - made here


def insert(table: IcebergName, source: Path, columns: Sequence[str]) -> list[str]:
    """Return statements that create a table from a CSV file."""
    return [
        f"CREATE SCHEMA IF NOT EXISTS lake.{table.namespace}",
        f"CREATE TABLE lake.{table} ({', '.join(f'{name} VARCHAR' for name in columns)})",
        f"INSERT INTO lake.{table} SELECT * FROM {_rows(source)}",  # noqa: S608 - likewise
    ]


def merge(table: IcebergName, source: Path, columns: Sequence[str], key: str) -> list[str]:
    """Return statements that merge a CSV file by key."""
    changed = ", ".join(f"{name} = s.{name}" for name in columns if name != key)
    given = ", ".join(f"s.{name}" for name in columns)
    matched = f"WHEN MATCHED THEN UPDATE SET {changed}"
    new = f"WHEN NOT MATCHED THEN INSERT ({', '.join(columns)}) VALUES ({given})"  # noqa: S608 - likewise
    return [f"MERGE INTO lake.{table} t USING (FROM {_rows(source)}) s ON t.{key} = s.{key} {matched} {new}"]


def delete_and_insert(table: IcebergName, source: Path, key: str) -> list[str]:
    """Return statements that merge a CSV file by DELETE and INSERT."""
    rows = _rows(source)
    return [
        "BEGIN",
        f"DELETE FROM lake.{table} WHERE {key} IN (SELECT {key} FROM {rows})",  # noqa: S608 - likewise
        f"INSERT INTO lake.{table} SELECT * FROM {rows}",  # noqa: S608 - likewise
        "COMMIT",
    ]


def _rows(source: Path) -> str:
    return f"read_csv('{source}', all_varchar = true)"


def _attach(settings: StoreSettings) -> list[str]:
    catalog, host = settings.catalog, urlsplit(settings.endpoint or "").netloc
    if catalog is None:
        raise ValueError("the Storage has no catalog")
    store = {
        "TYPE": "s3",
        "REGION": f"'{settings.region}'",
        "KEY_ID": f"'{settings.access_key}'",
        "SECRET": f"'{settings.secret_key}'",
        "ENDPOINT": f"'{host}'",
        "URL_STYLE": "'path'",
        "USE_SSL": "false",
    }
    client = {
        "TYPE": "iceberg",
        "CLIENT_ID": f"'{catalog.client_id}'",
        "CLIENT_SECRET": f"'{catalog.client_secret}'",
        "OAUTH2_SERVER_URI": f"'{catalog.oauth2_server_uri}'",
    }
    attached = {
        "TYPE": "iceberg",
        "ENDPOINT": f"'{catalog.uri}'",
        "SECRET": "catalog",
        "ACCESS_DELEGATION_MODE": "'none'",
        "READ_ONLY": "false",
    }
    return [
        *(f"LOAD '{_extension(name)}'" for name in _EXTENSIONS),
        f"CREATE SECRET store ({_options(store)})",
        f"CREATE SECRET catalog ({_options(client)})",
        f"ATTACH '{catalog.warehouse}' AS lake ({_options(attached)})",
    ]


def _options(values: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _extension(name: str) -> str:
    """Return the file of an extension in its wheel."""
    found = importlib.util.find_spec(f"duckdb_extension_{name}")
    if found is None or found.origin is None:
        raise RuntimeError(f"the package `duckdb-extension-{name}` is not installed; run `make env`")
    return str(Path(found.origin).parent / f"extensions/v{duckdb.__version__}/{name}.duckdb_extension")
