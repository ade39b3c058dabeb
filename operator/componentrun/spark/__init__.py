"""The program in a Spark Job: maintains one table that is too large for the maintenance process.

It does what `loader.maintenance` does, by the same rules for what is kept, and has Spark do the work.

Modules, lowest first:

    settings    how Spark reaches store and catalog. Pure
    session     Spark in this process
    program     one table: rewritten, old snapshots removed, lost files deleted
"""
