"""Tables in an Iceberg REST catalog: names, metadata, commits.

Modules, lowest first:

    names        table ids to namespaces and names, and back
    quoting      error messages of a catalog, made safe to show
    transport    HTTP to a catalog, with limits
    properties   properties of tables and summaries of snapshots
    fileio       PyIceberg's FileIO, on obstore
    client       PyIceberg's REST client, with limits
    catalog      interface to a catalog
    state        a table's metadata as ComponentRun's types
    lineage      the snapshots that led to the current one, with gaps. Pure
    marks        which attempts are in a table, and which were abandoned. Pure
    thinning     which increments are removed from the history early. Pure
    snapshots    write a snapshot with new files
    datafiles    upload local Parquet files
    checking     check whether a catalog supports what runs need
"""
