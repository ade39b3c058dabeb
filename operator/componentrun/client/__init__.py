"""The Python client.

Packages and modules, lowest first:

    errors       errors with advice
    models       objects of the API server as models
    kubernetes   the interface to Kubernetes
    storage      the interface to a Storage
    request      from arguments to a ComponentRun

The command line uses these as well, so imports at the top of this module would slow down its start.
"""
