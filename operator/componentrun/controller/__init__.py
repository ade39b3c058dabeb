"""The operator: watches ComponentRuns and their pods, asks `componentrun.core` for decisions, and carries them out.

Input: events of the Kubernetes API, and time. Output: pods, Secrets, network policies, statuses and published tables.
Decisions are made in `componentrun.core`. `componentrun.storage` reads and writes objects and signs URLs, and
`componentrun.collector` stores log lines.

Packages and modules, lowest first:

    app             builds the operator; start, stop, readiness
    handlers        kopf's handlers: events of the four kinds of resources; kopfrunner runs kopf, and
                    kopfstream drops events of other shards
    settings        environment variables
    lease           leader election; leaseholders finds out who holds a Lease
    clockwatch      keeps the clock correct while the operator is idle
    watching        caches, watches of pods, full resync
    work            work queue: which run is reconciled next
    images          images of Components with channels
    prepull         brings images of channels to nodes
    builds          executes ComponentBuilds
    attempts        what the start of an attempt reads and creates in the API server
    reconcile       reconciles one run
    schemacheck     checks parameters in processes that can be stopped
    components      checks Components, and writes their status
    storages        which Storage a run uses, whether it can be used, requests to its loader
    metrics, logs   metrics and log lines

What all processes share (probes, signals, the Kubernetes client) is in `componentrun.process`.
"""
