"""SQL for DuckDB that reads tables. Text only: DuckDB is not imported when a module is.

Modules, lowest first:

    files     files of rows for DuckDB
    tables    conditions and columns of a mapping
    parquet   a table as Parquet
    scan      the rows of an Iceberg table from its files
    query     runs the statements
"""
