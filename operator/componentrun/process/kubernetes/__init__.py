"""The way to the Kubernetes API.

Modules, lowest first:

    resources     the kinds that are used
    connections   connections, proxies, dead peers
    tokenfile     the service account's token
    errors        what refusals mean
    client        requests
    watch         watches
    clock         the API servers' time
    eventerrors   errors of single objects in a watch
    storages      lists Storages
"""
