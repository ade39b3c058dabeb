"""What only commands need of a Storage.

Modules, lowest first:

    eventplace      everything that stores events in a bucket and prefix
    catalogchecks   what `doctor` says of a catalog
    sqlsetup        lines that attach a catalog in other engines
"""
