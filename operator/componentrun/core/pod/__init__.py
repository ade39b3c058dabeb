"""The pod of an attempt, its Secret and its network policy, as plain JSON.

Modules, lowest first:

    settings        platform defaults for every pod
    identity        which run and attempt a pod belongs to
    metadata        names, labels, annotations, scheduling
    volumes         volumes, and which container mounts which
    security        security contexts of the restricted pod security standard
    containers      the component, the agents, the GELF server
    networkpolicy   network classes and their NetworkPolicies
    build           joins the parts into a pod and a Secret
"""
