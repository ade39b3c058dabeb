"""The interface to Kubernetes.

Modules, lowest first:

    cluster   what commands use
    answers   errors of the API in words for the user
    client    implementation on `process.kubernetes.blocking`
"""
