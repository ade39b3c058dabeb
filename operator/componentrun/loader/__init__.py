"""The loader: reads and writes the tables of Iceberg catalogs, for the operator, maintenance and the command line.

What comes in: requests (`componentrun.wire.loader`) with the keys of a Storage. What goes out: transactions of the
catalog, and plans that say which files hold a table's rows. Done elsewhere: deciding when a run is published
(`componentrun.core`), signing what a plan names, the bucket itself (`componentrun.storage`).

Modules of tables, lowest first:

    names         table ids to namespaces and names in the catalog, and back
    properties    what table properties and snapshot summaries say in our name
    fileio        files of tables, for PyIceberg
    client        PyIceberg's client, which a catalog configures little of
    catalog       the border to the REST catalog; commits
    state         what a table is, and what its schema and properties become
    snapshots     manifests, and the change that makes a snapshot the current one
    scanning      which files hold the rows of tables, as of one moment
    databases     DuckDBs that small loads share
    staged        what stage-out uploaded, as local files
    rows          DuckDB: the rows that come, and the positions of rows that go
    datafiles     local Parquet files into the store
    versions      the history of a table
    listing       which tables there are
    duck          DuckDB in this process, for reading
    referenced    which tables a query names
    querying      SQL over tables, for people
    delivering    whole tables into local files, for people
    restoring     dropping a table, and bringing an earlier version back
    fencing       giving an attempt up for certain
    load          publishing: one commit for all tables of a run, once
    maintenance   small files rewritten, old snapshots and lost files deleted (a package of its own)
    checking      whether a catalog is fit for runs

Modules of the process, lowest first:

    engine        what is done with a request
    tables        does it
    slots         how many requests are carried out at a time, and whose turn it is
    settings, metrics
    carrying      carries out one request: from its body to its answer
    server        who may ask, over HTTP
    app           the process

Only errors of `componentrun.errors` (and subclasses of them) leave this package. No other package imports PyIceberg.
"""
