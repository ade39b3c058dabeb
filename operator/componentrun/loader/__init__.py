"""The loader: reads and writes the tables of Iceberg catalogs, for the operator and for maintenance.

What comes in: requests (`componentrun.wire.loader`) with the keys of a Storage. What goes out: transactions of the
catalog, and plans that say which files hold a table's rows. Done elsewhere: deciding when a run is published
(`componentrun.core`), signing what a plan names, the bucket itself (`componentrun.storage`).

Modules of the process, lowest first:

    engine        what is done with a request; the rest of the package implements it
    slots         how many requests are carried out at a time, and whose turn it is
    settings, metrics
    carrying      carries out one request: from its body to its answer
    server        who may ask, over HTTP
    app           the process
"""
