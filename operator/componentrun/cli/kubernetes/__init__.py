"""The border to Kubernetes.

Modules, lowest first:

    cluster   what the commands need of it
    answers   what refusals mean to the caller
    client    the same, on the official client
"""
