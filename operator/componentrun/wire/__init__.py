"""JSON documents that processes exchange, or read from exports.

    agents        operator <-> agents: plans and results
    chain         agents <-> agents: what those of a pod with processors leave each other
    grants        the run's Secret: what each agent may read and write
    loader        operator <-> loader: requests to load and read tables, and their results
    loaderaccess  addresses and authentication of the loader
    logserver     requests to the log servers of nodes
    parquet       the files with the rows of a table; part of stage-in's plan
    phpvalues     values as PHP writes them in exports of the original's API

Nothing here sends or receives.
"""
