"""Events of runs: stored, indexed, read, expired.

Modules, lowest first:

    events        the model of an event
    lines         events as lines of text
    blocks        lines in compressed blocks that can be read alone
    segments      segments and merged objects in the store
    merging       merges segments
    reader        one run's events in order, and from the end
    index         keys to find runs
    runs          runs in the index
    feed          one run's events as they arrive
    query         events of many runs
    export        events as Parquet
    forwardmarks  how far each receiver has received the events of a run
    deadletters   events that a receiver does not accept
    retention     how long events are kept
    sweep         deletes events past their retention
"""
