"""Load the tables that an attempt uploaded, in one commit.

Modules, lowest first:

    columns     columns of a load
    loads       loads from stage-out's result
    databases   DuckDB databases that small loads reuse
    staged      download uploaded slices
    rows        write the files of a load with DuckDB
    fencing     abandon an attempt
    load        load the tables of an attempt
"""
