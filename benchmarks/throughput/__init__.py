"""Many runs: what one costs the operator and the API server, and how many go through in a minute.

A control plane of its own (etcd, API server, controller manager, scheduler, MinIO), real but for its nodes: KWOK plays
their kubelets, so that nothing but the control plane is measured. It needs no root, and no cluster.

Modules, lowest first:

    costs      CPU time and memory of processes, counters of /metrics
    fakes      nodes, and the steps in which KWOK takes their pods to their end
    plane      the control plane
    manifests  what is created: runs, pods, Jobs
    client     requests to its API server
    others     what takes part in a run besides the operator: stage-out and the collector
    operator   the operator as a process
    prepared   what is there before the first run
    load       create many, wait until all have ended
    runs       the benchmark `throughput.run`
    waiting    the benchmark `throughput.queue`
"""
