"""Clients of the Kubernetes API, asynchronous for the operator and blocking for the command line.

Modules, lowest first:

    resources       kinds of objects, and their paths
    tokenfile       a token that the kubelet renews in its file
    access          kubeconfig, service account, credentials, TLS
    errors          what refusals mean
    exchange        what both clients have in common
    connections     connections of the asynchronous client
    client          the asynchronous client
    httpconnection  connections of the blocking client
    blocking        the blocking client
    watch           keeps a target up to date with all objects of a kind
    clock           the API servers' time
    eventerrors     errors of single objects in a watch
    storages        reads a Storage's Secrets
    components      writes the status of Components
"""
