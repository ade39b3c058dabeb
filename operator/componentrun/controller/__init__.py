"""The operator: watches ComponentRuns and their pods, asks `componentrun.core` what to do, and does it.

What comes in: events of the Kubernetes API (through kopf) and the clock. What goes out: pods, Secrets, network
policies, run statuses, published tables. What is done elsewhere: every decision (`componentrun.core`), everything about
tables and capability URLs (`componentrun.storage`), the log lines (`componentrun.collector`).

Modules, in the order in which an event passes them:

    __main__, app     start, stop, readiness
    settings          environment variables
    handlers, targets an event updates a cache and puts a key on the queue, nothing else
    caches, resync    what was seen last; a listing now and then mends what a watch missed
    workqueue         never the same run twice at once
    reconciler        observed state -> core.plan -> actions
    starting          the action StartAttempt; publishing: the action Publish
    stores            from a Storage to an open store
    metrics, logs     what people see of it, besides what every process shows

What every process has (probes, signals, the Kubernetes client) is in `componentrun.process`.
"""
