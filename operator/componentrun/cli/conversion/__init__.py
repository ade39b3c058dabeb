"""Configurations that Keboola's API exported, as ComponentRuns.

Modules, lowest first:

    values          single values
    mapping         input and output
    processors      processors
    configuration   configurations with their rows
"""
