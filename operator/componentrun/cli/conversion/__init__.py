"""Configurations that Keboola's API exported, as ComponentRuns.

Modules, lowest first:

    values          single values
    mapping         input and output
    configuration   configurations with their rows
"""
