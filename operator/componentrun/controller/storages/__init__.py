"""Storages: which one a run means, whether it can be used, requests to its loader.

Modules, lowest first:

    identity        tells Storages, and versions of one, apart
    references      from a run to its Component and Storage
    cataloggate     circuit breaker of each catalog
    gate            slots and circuit breaker of each Storage
    stores          an open store for a Storage
    loaderclient    requests to the loader
    catalogtables   tables of a run: publish, give up, look up
    scopes          checks of stores and catalogs, and the Storage's status
"""
