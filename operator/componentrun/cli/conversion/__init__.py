"""Configurations that Keboola's API exported, as ComponentRuns.

Modules, lowest first:

    mapping         input and output
    processors      processors
    configuration   configurations with their rows
"""
