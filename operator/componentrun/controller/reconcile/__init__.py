"""Reconciles one run: observed state, `core.lifecycle.plan`, actions.

Modules, lowest first:

    podreader        reads one pod by name before a decision
    planning         plans from the caches
    runmemory        in-memory state of each run
    hiding           redacts secret values in statuses
    statuswriter     writes a run's status, and updates what depends on it
    queues           admission queues of all namespaces
    policies         creates NetworkPolicies
    start            carries out the action StartAttempt
    publish          carries out the action Publish
    resultwriter     writes the results of actions, and decides on retries
    removal          deletes pods
    unreadpods       finished pods that the collector has not read
    reconciler       carries out a plan
"""
