"""From what an attempt uploaded to one commit.

Modules, lowest first:

    columns     columns of a load
    loads       loads from what stage-out wrote
    databases   DuckDB databases that loads share
    staged      uploaded slices as local files
    rows        the files of a load, by DuckDB
    fencing     gives an attempt up
    load        loads the tables of an attempt
"""
