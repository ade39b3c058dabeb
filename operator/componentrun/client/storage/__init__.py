"""The border to a Storage.

Modules, lowest first:

    progress        progress of a transfer
    tablestore      the interface to tables
    filestore       the interface to files
    store           the interface to a Storage
    threads         runs coroutines on an event loop in a thread
    choosing        which Storage is meant
    fileobjects     files in the object store
    objects         a Storage in the object store
    catalogtables   tables of the catalog
"""
