"""Maintenance of the tables of a catalog: merge small files, and delete old snapshots and orphaned files.

Loads do not depend on maintenance, and it may be killed at any time: each change of a table is one commit, and files
are deleted only after the commit that makes them unreachable. Commits are never forced: a table that another writer
changed meanwhile is left for the next round.

Modules, lowest first:

    choosing    which files of a table are rewritten together. Pure
    objects     fetch, list and delete files in the object store, in bulk
    packing     merge data files, and files of deleted rows, with DuckDB
    replacing   the change that replaces files by others
    rewriting   rewrite one table
    history     which snapshots are kept. Pure
    reachable   which files snapshots reach; sets of files on disk
    sharing     whether several tables share a folder
    expiring    delete old snapshots, and files that no snapshot reaches
    keeping     properties that maintenance by another engine needs
    dropping    drop tables that readers do not see
    changes     loaders' notes about changed tables
    scan        scan over all tables, a few in each round
    round       one round over a catalog
"""
