"""Tables in an Iceberg REST catalog: names, metadata, commits.

Modules, lowest first:

    names        table ids to namespaces and names, and back
    quoting      what a catalog says, as it may be shown
    transport    HTTP to a catalog
    properties   properties of tables and summaries of snapshots
    fileio       PyIceberg's files, through obstore
    client       PyIceberg's client of a catalog
    catalog      the border to a catalog
    state        a table's metadata in our words
    snapshots    a snapshot with new files
    datafiles    local Parquet files into the store
    checking     whether a catalog is fit for runs
"""
