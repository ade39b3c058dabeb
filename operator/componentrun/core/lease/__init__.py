"""Which operator works, and what time the API servers have.

Modules, lowest first:

    clock    estimate of the API servers' time
    holder   the holder of a Lease as a process in a pod
"""
