"""The work queue: which run is reconciled next.

Modules, lowest first:

    flows     fair queueing: maps each key to a flow
    queue     the work queue: a run is never processed twice at the same time
    fairslots limits concurrent tasks, fairly among namespaces
    workers   take the keys of runs from the queue
    tasks     take the keys of other objects
"""
