"""Maintenance of the tables of a catalog: small files become large ones, old snapshots and lost files are deleted.

Nothing here is needed for a load, and all of it may be killed at any moment: a table is changed by one commit, and
files are deleted only after the commit that makes them unreachable. No commit is ever forced: a table that somebody
else changed meanwhile is left for the next round.

Modules, lowest first:

    choosing    which files of a table are rewritten together. Pure
    objects     files of a table in the object store: fetched, listed, deleted by many
    packing     DuckDB: many files become one, and many files of deleted rows become one
    replacing   the change that puts some files in the place of others
    rewriting   one table: looks, rewrites, commits
    history     which snapshots are kept. Pure
    reachable   which files snapshots reach; sets of files on disk
    sharing     whether the folder of a table is its own alone
    expiring    old snapshots and their files, and files that no snapshot reaches
    dropping    tables that are none to readers
    changes     notes of loaders which tables have changed
    scan        all tables, a few in each round
    round       one round over a catalog
"""
