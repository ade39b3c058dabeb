"""From flags and files to a ComponentRun.

Modules, lowest first:

    flags        the flags of `submit`
    parameters   parameters from flags and files
    sources      files, stdin, or another run
    manifest     a validated ComponentRun
"""
