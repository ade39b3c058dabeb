"""The operator: watches ComponentRuns and their pods, asks `componentrun.core` what to do, and does it.

What comes in: events of the Kubernetes API and the clock. What goes out: pods, Secrets, network
policies, run statuses, published tables. What is done elsewhere: every decision (`componentrun.core`), everything about
tables and capability URLs (`componentrun.storage`), the log lines (`componentrun.collector`).

Modules, in the order in which an event passes them:

    app               what is made of what; start, stop, readiness
    settings          environment variables
    lease             which of several operators works; clockwatch: keeps its clock right while it is idle
    kopfwatch         kopf, which tells of Components and Storages; targets: the watches of runs and pods, without kopf
    handlers          an event updates a cache and puts a key on the queue, nothing else
    caches, resync    latest known objects; a full listing recovers from missed watch events; podcache: pods by run;
                      bynamespace: objects by namespace; cachekeys: what the caches share
    workqueue         never the same run twice at once; flows: whose turn it is; workers: take keys from it
    queues            admission queues of namespaces: which queued runs may start
    reconciler        observed state -> core.plan -> actions; planning: makes the plan; podreader: reads one pod by name
                      before a missing or overdue one is interpreted; runmemory: in-memory state for each run
    references        from a run to its Component and its Storage; stores: from a Storage to an open store
    storegate         slots and circuit breaker of each Storage; storeid: the version of a Storage that they belong to
    scopes            what is known of each Storage's store and catalog, and the Storage's status
    starting          the action StartAttempt; secretvalues, parametersfrom: Secrets and the ConfigMap that a run names;
                      policies: its network policy
    catalogtables     tables of catalogs: what the loader is asked for; cataloggate: circuit breaker of each catalog
    loaderclient      requests to the loader, which reads and writes the tables of catalogs
    publishing        the action Publish; removal: deleting pods; unreadpods: finished pods kept for the collector
    statuswriter      writing a run's status; hiding: without the values that must not appear
    metrics, logs     what people see of it, besides what every process shows

What every process has (probes, signals, the Kubernetes client) is in `componentrun.process`.
"""
