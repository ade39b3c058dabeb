"""What every process that works for long has: settings, log lines, probes and metrics, a way to the Kubernetes API.

Used by the operator (`componentrun.controller`), the collector, the log servers, the loader and maintenance, which may
not import each other. Nothing here knows what a process is for.

    launch, ending    from the environment to the exit code, and to the end
    settings          environment variables, all wrong ones reported together; those that every process has
    logs              one event, one line, in JSON or for people
    server, metrics   what probes and Prometheus ask for; the metrics that every process has
    resources, kube, kubeerrors   the one border to the Kubernetes API
    connections       connections to the API server: which one an answer came over, the proxy, dead peers
    clock             the time as the API servers have it
    depths            objects that are nested deeper than can be read
    watch             list and watch all objects of a kind; eventerrors: errors about single objects
    storages          from a Storage object to how its store is reached
    fairqueue         a queue that serves namespaces and Storages in turn
    certificate, guard, tlsserver   a server over TLS: its certificate, who may ask it, its listening
    authority, tokenfile   those who ask it: which servers they trust, and the token that they show
    nodelogs          what the collector and a log server say to each other
"""
