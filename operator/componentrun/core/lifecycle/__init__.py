"""What happens to a run next, and the status that says so.

Modules, lowest first:

    conditions   the run's conditions
    actions      what the reconciler can be told to do
    observed     what it has seen when it asks
    retry        whether and when another attempt follows
    cleanup      when a pod is deleted
    plan         observed state to actions
    steps        single steps that statuses are made of
    status       the next status of a run
    ending       the final status of a run
    reasons      the generated page of reasons
"""
