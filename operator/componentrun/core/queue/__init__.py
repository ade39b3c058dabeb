"""Which queued runs may start.

Modules, lowest first:

    quota         the API server's message about an exhausted ResourceQuota
    concurrency   concurrency groups and their policies
    entry         a run in the queue, and its order
    texts         status messages of queued runs
    room          runs that wait for capacity only
    admission     the queue of one namespace
"""
