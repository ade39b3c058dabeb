"""From flags and files to a ComponentRun.

Modules, lowest first:

    flags        the flags of `submit`
    sources      files, stdin, or another run
    manifest     the manifest of a ComponentRun
"""
