"""Benchmarks: `make bench`, `make bench ONLY=name`.

Each figure is measured alternately with the figure that it is compared with, in the same run and on the same machine.
Figures are appended to results.jsonl. docs/benchmarks.md is generated from the newest ones.

Packages, lowest first:

    report      figures, results.jsonl, goals, docs/benchmarks.md
    harness     the cluster and its store, input files, processes, taking turns
    overhead    a run compared with a bare pod and a hand-written Job: time and memory
    transfer    stage-in and stage-out compared with s5cmd and DuckDB
    tables      loads, increments and maintenance of tables in a catalog
    collector   reading logs and writing events
    events      finding events
    throughput  many runs on a control plane with simulated nodes
    catalogue   applying and listing catalogues of Components
    builds      images built from a git repository
    registry    all benchmarks by name
"""
