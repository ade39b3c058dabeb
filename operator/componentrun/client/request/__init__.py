"""From arguments to a ComponentRun.

Modules, lowest first:

    naming       names of runs
    parameters   parameters as text
    validation   validates a manifest as the API server does
    arguments    the manifest of a run from the arguments of `submit`
"""
