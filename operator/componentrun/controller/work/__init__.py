"""Which run is reconciled next.

Modules, lowest first:

    flows     fair queueing: the flow of each key
    queue     the work queue: never the same run twice at once
    workers   take keys from the queue
"""
