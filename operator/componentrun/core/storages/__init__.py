"""What is known of a Storage, and what follows for its runs.

Modules, lowest first:

    breaker    circuit breaker of one store
    scope      whether a store confines a grant to the run's prefix
    catalog    what the checks of a catalog mean for runs
    sparkjob   the Job in which Spark maintains a table
"""
