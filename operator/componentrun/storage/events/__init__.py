"""Events of runs: stored, indexed, read, expired.

Modules, lowest first:

    events        what an event is
    lines         events as text
    segments      segments in the store
    index         keys by which runs are found
    runs          runs in the index
    reader        one run's events in order
    feed          one run's events as they come
    query         events of many runs
    export        events as Parquet
    unsent        events that a receiver has not got yet
    deadletters   events that a receiver does not accept
    retention     how long events are kept
    sweep         deletes events past their retention
"""
