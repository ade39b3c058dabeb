"""Caches of the latest known objects, and the events and listings that fill them.

Modules, lowest first:

    cachekeys     keys and versions of cached objects
    bynamespace   mapping of objects by namespace
    podcache      cache of pods by run
    caches        all caches
    events        applies events to caches and queues runs
    podwatch      watches pods; runs, Components and Storages are watched through kopf (`controller.handlers`)
    target        passes what a watch reports on to what keeps the objects of one kind
    resync        full resync, to recover from missed watch events
"""
