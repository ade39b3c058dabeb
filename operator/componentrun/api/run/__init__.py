"""Parts of a run's spec.

Modules, lowest first:

    configuration   parameters, secrets and identity of the configuration
    podtemplate     metadata and scheduling of the run's pod
"""
