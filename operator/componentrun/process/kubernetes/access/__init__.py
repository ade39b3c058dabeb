"""How to reach an API server and how to authenticate: from a kubeconfig, or from the pod that a process runs in.

Modules, lowest first:

    errors        configurations that can't be used
    credentials   tokens and client certificates, and when they are read again
    section       fields of a kubeconfig, and errors that name them
    execplugin    credential plugins
    access        what a client needs to connect
    kubeconfig    reads and merges kubeconfig files
    context       from a context of a kubeconfig to an Access
    incluster     the service account of a pod
    proxy         which proxy to use
"""
