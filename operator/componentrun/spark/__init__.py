"""The program of a Spark Job, which maintains one table that is too large for the maintenance process.

It follows the same retention rules as `loader.maintenance`, and does the work with Spark.

Modules, lowest first:

    settings    how Spark reaches store and catalog. Pure
    session     Spark in this process
    program     one table: rewrite files, remove old snapshots, delete orphan files
"""
