"""Benchmarks: `make bench`, `make bench ONLY=name`.

Ratios, not times: a figure and what it is compared with are measured in turns, in the same run, on the same machine.
Each figure is appended to results.jsonl; docs/benchmarks.md is made from the newest ones.

Modules, lowest first:

    record     a figure; results.jsonl
    machine    what the figures were measured on
    turns      measuring in turns, medians, spread
    goals      what was promised, one table
    page       docs/benchmarks.md, made from results.jsonl
    tables     the CSV files that are measured with
    lab        the cluster, its store, the images
    journal    what a namespace's objects went through, with the time at which it was heard of
    chain      a run's phases out of that
    ways       a bare pod, a hand-written Job, a ComponentRun: the same work three ways
    overhead   wall times of the three, for a tiny table and for a large one
    local      a process on this machine: its time and its memory
    seaweed    a SeaweedFS of its own: store and catalog
    lake       a place for tables in a catalog, and the loader's work there
    agents     stage-in, stage-out and s5cmd as such processes
    transfer   the agents against s5cmd
    mapped     columns and rows of a table, against DuckDB on a local file
    byhand     DuckDB on a catalog, as a user would write it
    loading    one load in a process of its own
    wholetables  a large table in and out, and an increment by key, against DuckDB by hand
    publishing from the end of an upload to a published run
    rate       loads of small tables by two loaders
    increments many increments on one table
    upkeep     requests of maintenance
    standin    an API server with runs that print, for what one node can't hold
    collector  what a printed line costs the collector
    pipeline   the middle of that: from a file's bytes to a segment's
    redaction  what looking for secrets costs
    memory     what waits or rests
    throughput many runs on a control plane of its own, a package
    registry   all benchmarks by name
"""
