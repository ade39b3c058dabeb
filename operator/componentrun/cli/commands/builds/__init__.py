"""`build`: images that are built from git repositories.

Modules, lowest first:

    finding     a build by its name, or by the beginning of its name
    printing    builds as lines of a table, and one build as text
    podlogs     the log of a build's pod
    starting    builds the image of a channel without a run
    pruning     deletes images that nothing names any more
    group       `list`, `get`, `logs`, `start`, `cancel`, `prune`
"""
