"""Findings about a Storage, and their consequences for its runs.

Modules, lowest first:

    breaker    circuit breaker of one store
    scope      whether a store confines a grant to the run's prefix
    catalog    consequences of the checks of a catalog
    sparkjob   the Job in which Spark maintains a table
"""
