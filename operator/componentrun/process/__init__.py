"""What every process that works for long has: settings, log lines, probes and metrics, a way to the Kubernetes API.

Used by the operator (`componentrun.controller`), the collector, the log servers, the loader and maintenance, which may
not import each other. Nothing here knows what a process is for.

Packages and modules, lowest first:

    settings     reads settings from environment variables
    logs         log lines
    launch       starts a process; ending: ends one that has used obstore; guard: ends it when a part of it fails
    garbage      settings of the garbage collector
    depths       JSON that is nested deeper than the parser goes
    fairqueue    fair queueing of keys
    kubernetes   the way to the Kubernetes API
    serving      HTTP and TLS servers
"""
