"""Leader election of operators, and the API servers' time.

Modules, lowest first:

    clock    estimate of the API servers' time
    holder   the holder of a Lease as a process in a pod
    shard    division of namespaces among operators
"""
