"""Build the pod of an attempt, its Secret and its network policy, as JSON.

Modules, lowest first:

    settings        platform defaults for every pod
    identity        which run and attempt a pod belongs to
    metadata        names, labels, annotations, scheduling
    steps           the programs of a pod with processors
    volumes         volumes, and the mounts of each container
    security        security contexts of the restricted pod security standard
    containers      the component, its processors, the agents, the GELF server
    networkpolicy   network classes and their NetworkPolicies
    build           combines the parts into a pod and a Secret
"""
