"""Which queued runs may start.

Modules, lowest first:

    quota         what the API server says about a full ResourceQuota
    concurrency   concurrency groups and their policies
    entry         one run in the queue, and its place
    texts         what a queued run's status says
    room          runs that wait for capacity only
    admission     the queue of one namespace
"""
