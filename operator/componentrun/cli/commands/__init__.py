"""The commands: one module or package for each group.

Packages and modules, lowest first:

    submit      create a run
    runs        `get`, `list`, `wait`, `cancel`, `delete`
    events      `events` and `logs`
    artifacts   what a run left beside tables and files
    table       tables
    versions    `table info`, `history`, `restore`
    query       `table query`, `table sql-setup`
    file        files
    component   channels of Components
    builds      builds of images
    state       states of configurations
    upkeep      maintenance by hand
    catalogue   catalogues of Components
    cataloguesync  `catalogue sync`
    convert     runs from exported configurations
    doctor      checks of a cluster and its Storage
"""
