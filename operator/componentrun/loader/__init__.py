"""The loader: reads and writes the tables of Iceberg catalogs, for the operator, maintenance and the command line.

Input: requests (`componentrun.wire.loader`) with the keys of a Storage. Output: transactions of the catalog, and plans
that list the files with a table's rows. Not done here: deciding when a run is published (`componentrun.core`), signing
URLs for the files in a plan, and access to the bucket itself (`componentrun.storage`).

Packages and modules, lowest first:

    catalog             tables in an Iceberg REST catalog: names, metadata, commits
    scratch             limit of the local disk space of a load
    reading             reads, queries, exports and restores tables
    loading             loads an attempt's uploads in one commit
    maintenance         rewrites small files, expires snapshots, removes orphans
    service             the loader's HTTP service
    settings, metrics
    app                 the process

This package raises only errors of `componentrun.errors` and their subclasses. No other package imports PyIceberg.
"""
