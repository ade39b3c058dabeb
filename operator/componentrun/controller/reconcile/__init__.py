"""Reconciles one run: observed state, `core.lifecycle.plan`, actions.

Modules, lowest first:

    podreader        reads one pod by name before a verdict
    planning         plans from the caches
    runmemory        in-memory state of each run
    hiding           statuses without secret values
    statuswriter     writes a run's status, and what follows a write
    queues           admission queues of all namespaces
    secretvalues     Secrets that a run names
    parametersfrom   ConfigMaps with parameters
    policies         NetworkPolicies
    start            the action StartAttempt
    publish          the action Publish
    removal          deletes pods
    unreadpods       finished pods that the collector has not read
    reconciler       carries out a plan
"""
