"""Read, query, export and restore tables.

Modules, lowest first:

    allowed      what a query may use
    duck         DuckDB in this process
    scanning     which files contain the rows of tables
    referenced   which tables a query names
    allowed      which functions a query may call
    querying     SQL queries over tables
    delivering   write whole tables to local files
    listing      list the tables of a catalog
    versions     the history of a table
    restoring    drop a table, or restore a version
"""
