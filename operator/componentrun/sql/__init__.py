"""SQL for DuckDB that reads tables. Importing these modules does not import DuckDB.

Modules, lowest first:

    files     prepares CSV files for DuckDB
    tables    conditions and columns of a mapping, as SQL
    parquet   writes a table as Parquet
    scan      reads the rows of an Iceberg table from its files
    query     runs the statements
"""
