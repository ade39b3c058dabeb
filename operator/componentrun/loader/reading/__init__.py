"""What readers get of tables.

Modules, lowest first:

    duck         DuckDB in this process
    scanning     which files hold the rows of tables
    referenced   which tables a query names
    querying     SQL over tables
    delivering   whole tables into local files
    listing      which tables there are
    versions     the history of a table
    restoring    drops a table, brings a version back
"""
