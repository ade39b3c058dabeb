"""The runs whose events are being collected.

Modules, lowest first:

    facts       the fields of runs and pods that are read
    lifecycle   status changes as events
    lastwords   the end of a component's output
    report      what a run's status says about its events
    state       what is known of one run and its pods
    secret      values that must not appear in events
    followers   the log followers of one run
    worker      collects the events of one run
    registry    all runs, from the watches
"""
