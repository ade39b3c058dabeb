"""`build`: images that are built from git repositories.

Modules, lowest first:

    finding     a build by its name, or by the beginning of its name
    printing    builds as lines of a table, and one build as text
    podlogs     the log of a build's pod
    group       `list`, `get`, `logs`, `cancel`
"""
