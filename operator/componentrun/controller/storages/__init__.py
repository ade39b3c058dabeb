"""Storages: which one a run uses, whether it can be used, requests to its loader.

Modules, lowest first:

    identity        identifies Storages and versions of their specs
    sharedreads     reads that runs share if they start at about the same time
    references      finds the Component and Storage of a run
    cataloggate     circuit breaker of each catalog
    gate            slots and circuit breaker of each Storage
    stores          opens the store of a Storage
    loaderclient    requests to the loader
    catalogtables   publishes tables of a run, gives publishing up, finds their files
    scopes          probes what a store supports, once for all runs that wait for it
    checks          checks of stores and catalogs, and the Storage's status
"""
