"""Many runs: the cost of one run for the operator and the API server, and the number of runs per minute.

A private control plane (etcd, API server, controller manager, scheduler, SeaweedFS) is real except for its nodes: KWOK
simulates their kubelets, so that only the control plane is measured. It needs neither root nor a cluster.

Real: the operator and the loader of the work tree as processes, their requests to the API server and to the store, the
Job controller, Argo's controller and CRDs. Simulated: kubelets (as many status updates as real ones send), containers,
stage-out's result, the collector's report, and the requests of Argo's `wait` containers. Left out: reading logs, loads
of output tables, a kubelet's Kubernetes Events.

`python -m benchmarks.throughput` prints what a batch of runs costs, with its writes by client, verb and resource.

Modules, lowest first:

    simulation         simulated nodes with the updates of their pods, simulated agents
    costs              the audit log, costs of a batch, figures
    control_plane      the control plane
    manifests          what is created: runs, pods, Jobs
    api_client         requests to its API server
    service_process    a process of the work tree
    operator_process   the operator as a process
    loader_process     the loader as a process
    fixtures           what exists before the first run
    batches            create many objects and wait until all have finished
    argo               Argo's workflow controller, for comparison
    run_throughput     the benchmark `throughput.run`
    many_runs          the benchmark `throughput.run.many`
    queue_throughput   the benchmark `throughput.queue`
"""
