"""Queries that would reveal more than the rows of tables."""

from __future__ import annotations

__all__ = ["REVEALING"]

REVEALING = [
    "from duckdb_settings()",
    "from DUCKDB_VIEWS()",
    "from duckdb_views",
    "select (select max(sql) from sqlite_master)",
    "summarize sqlite_master",
    "from pg_catalog.pg_settings",
    "from pg_views",
    "from information_schema.views",
    "from memory.information_schema.views",
    "select current_setting('allowed_paths')",
    "select max(current_setting('allowed_paths')) over ()",
    "select list_transform([1], x -> current_setting('allowed_paths'))",
    "select system.main.current_setting('allowed_paths')",
    "select pg_get_viewdef(1)",
    "select getvariable('a')",
    "from query('from duckdb_settings()')",
    "from query_table('sqlite_master')",
    "from histogram('sqlite_master', sql)",
    "from json_execute_serialized_sql('{}')",
    "from (values (1)) v, lateral duckdb_settings()",
    "from duckdb_secrets()",
    "from duckdb_logs()",
    "from duckdb_external_file_cache()",
    "from which_secret('s3://a', 's3')",
    "from read_blob('/etc/passwd')",
    "from read_text('/proc/self/environ')",
    "from glob('/*')",
    "from parquet_metadata('x')",
    "from pandas_scan(1)",
    "with sqlite_master as (select 1) from sqlite_master",
    "select 1 from (with pg_views as (select 1) from pg_views), pg_views",
]
"""Queries that would read signed URLs, settings, other SQL or local files."""
