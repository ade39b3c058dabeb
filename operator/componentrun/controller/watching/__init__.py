"""What the API server tells: watches, listings, and the caches that they fill.

Modules, lowest first:

    cachekeys     names and versions of cached objects
    bynamespace   objects by namespace
    podcache      pods by run
    caches        the latest known objects
    handlers      an event updates a cache and queues a key
    targets       watches of runs and pods
    kopfwatch     kopf: watches of Components and Storages
    resync        full resync, to recover from missed watch events
"""
