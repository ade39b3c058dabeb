"""The border to a Storage.

Modules, lowest first:

    store           what the commands need of it
    filestore       the same for files
    objects         on the object store
    fileobjects     files on the object store
    eventplace      everything that stores events in a bucket and prefix
    catalogtables   tables of the catalog
    tablestore      what the table commands need
    catalogchecks   what `doctor` says of a catalog
    sqlsetup        lines that attach a catalog in other engines
"""
