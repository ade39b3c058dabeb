"""The loader: reads and writes the tables of Iceberg catalogs, for the operator, maintenance and the command line.

What comes in: requests (`componentrun.wire.loader`) with the keys of a Storage. What goes out: transactions of the
catalog, and plans that say which files hold a table's rows. Done elsewhere: deciding when a run is published
(`componentrun.core`), signing what a plan names, the bucket itself (`componentrun.storage`).

Packages and modules, lowest first:

    catalog             tables in an Iceberg REST catalog: names, metadata, commits
    scratch             room on the local disk
    reading             what readers get of tables
    loading             from what an attempt uploaded to one commit
    maintenance         rewrites small files, expires snapshots, removes orphans
    service             requests to the loader
    settings, metrics
    app                 the process

Only errors of `componentrun.errors` (and subclasses of them) leave this package. No other package imports PyIceberg.
"""
