"""The collector: what a run's containers print, and what becomes of the run, as events in Storage.

What comes in: pods and runs (watched), logs (followed over the Kubernetes API). What goes out: event segments, each
with the checkpoint to resume from, and `status.events` of a run once all of its events are in Storage.
Done elsewhere: how segments are stored (`componentrun.storage.eventsegments`), taking secrets out of
text (`componentrun.core.redactor`), deleting pods (`componentrun.controller`), what
every process has (`componentrun.process`: probes, log lines of its own, the Kubernetes client).

Modules, lowest first:

    line        one line, and its place in a node's files        pure
    lines       bytes to lines                                   pure
    position    how far a log was read                           pure
    answer      which lines of one response are new              pure
    fileplace   how far a log was read from the node's files     pure
    crilines    bytes of the node's files to lines               pure
    grouping    which lines are one event                        pure
    structure   a text to type, message, params                  pure
    facts       what is read of runs and pods                    pure
    lifecycle   a run's status to events                         pure
    lastwords   the end of what a component printed              pure
    report      what a run's status says of its events           pure
    waiting     events that wait, and their order                pure
    cut         a segment, ready to be written                   pure
    journal     a run's events, and the checkpoint with them     pure
    shares      how much each run may hold                       pure
    settings, metrics
    state       what is known of one run and its pods
    runsecret   the values that must not appear
    stores      from a Storage object to an open store
    outlet      one run's events to its Storage
    forward     events from Storage to others, a package of its own
    sink        lines of one container to its run's journal
    logend      whether the last line of a log was read
    follower    one container's log, over the API
    nodelogs    the way to the log servers of the nodes
    filefollower   one container's log, from the node's files
    ways        which of the two ways a log is read
    crew        the followers of one run
    worker      one run
    registry    which runs there are
    app         the process
"""
