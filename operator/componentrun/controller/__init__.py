"""The operator: watches ComponentRuns and their pods, asks `componentrun.core` what to do, and does it.

What comes in: events of the Kubernetes API and the clock. What goes out: pods, Secrets, network
policies, run statuses, published tables. What is done elsewhere: every decision (`componentrun.core`), everything about
tables and capability URLs (`componentrun.storage`), the log lines (`componentrun.collector`).

Packages and modules, lowest first:

    app             the parts of the operator; start, stop, readiness
    settings        environment variables
    lease           which of several operators works; clockwatch: keeps its clock right while it is idle
    watching        watches, listings, and the caches that they fill
    work            which run is reconciled next
    reconcile       reconciles one run
    storages        which Storage a run means, whether it can be used, requests to its loader
    metrics, logs   what operators of the platform see of it

What every process has (probes, signals, the Kubernetes client) is in `componentrun.process`.
"""
