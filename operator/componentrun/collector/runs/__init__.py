"""The runs whose events are being collected.

Modules, lowest first:

    facts       the fields of runs and pods that are read
    podphases   phases that a pod shows and that the operator has not written yet
    lifecycle   life-cycle events, from the status of a run and from its pod
    lastwords   the last lines of a component's output
    report      the patch that reports delivered events in a run's status
    state       the current state of one run and its pods
    secret      reads the values that must not appear in events
    followers   the log followers of one run
    builds      the builds that one run has waited for
    worker      collects the events of one run
    registry    all runs, from the watches
"""
