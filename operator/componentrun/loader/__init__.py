"""Tables of an Apache Iceberg catalog: what they are called, and how they change.

What comes in: `CatalogSettings`, and what attempts have staged in the bucket. What goes out: commits to the catalog.
Done elsewhere: deciding when a run is published (`componentrun.core`), the bucket itself (`componentrun.storage`).

Modules, lowest first:

    names         table ids to namespaces and names in the catalog, and back
    properties    what table properties and snapshot summaries say in our name
    places        a Storage and its catalog as part of a request
    fileio        files of tables, for PyIceberg
    catalog       the border to the REST catalog; commits
    state         what a table is, and what its schema and properties become
    snapshots     manifests, and the change that makes a snapshot the current one
    scanning      which files hold the rows of tables, as of one moment
    staged        what stage-out uploaded, as local files
    rows          DuckDB: the rows that come, and the positions of rows that go
    load          publishing: one commit for all tables of a run, once

Only errors of `componentrun.errors` (and subclasses of them) leave this package. No other package imports PyIceberg.
"""
