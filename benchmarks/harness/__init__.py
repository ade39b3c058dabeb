"""What the benchmarks share.

Modules, lowest first:

    interleave      measure in turns; medians, spread, ratios
    usage           CPU time, memory and Prometheus counters of a process
    timed_process   run a process: its time, CPU time and peak memory
    csvfiles        the CSV files that are used as input
    testbed         the cluster, its store, the images
    seaweedfs       a private SeaweedFS: store and catalog
    sandbox         an empty part of a store and a catalog, with the loader's work in this process
    network_link    a network link with limited bandwidth
    agent_runner    stage-in, stage-out and s5cmd as processes on this machine
"""
