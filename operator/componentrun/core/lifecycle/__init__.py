"""The life of a run: what happens next, and the status that records it.

Modules, lowest first:

    conditions   the run's conditions
    actions      what the reconciler can do
    phases       when phases began, and which of them are written with the next change
    observed     what it has observed when it asks for a plan
    certainty    whether a pod must be read before a verdict
    lastwords    the component's last lines, in the status of a failed run
    steps        single steps that statuses are made of
    stepstatus   the component and its processors in the status of a run
    ending       the final status of a run
    publishing   the status of a run while its output is published
    delivery     the status of a finished run while its events are delivered
    status       the next status of a run; the functions of the three above, too
    retry        whether and when another attempt follows
    cleanup      when a finished pod is deleted
    plan         observed state to actions
"""
