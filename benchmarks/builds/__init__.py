"""Images that are built from a git repository when a run needs them.

Modules, lowest first:

    wheels       packages of this environment as wheels
    servers      package index, and a server that components report their start to
    repository   the component's git repository
    lab          a tenant, an operator that builds, and these servers
    buildah      the same image by a Dockerfile
    benchmarks   the benchmarks
"""
