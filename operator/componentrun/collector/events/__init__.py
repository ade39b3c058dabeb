"""From the contents of events to segments in Storage.

Modules, lowest first:

    pending   events that wait for their segment
    segment   a segment that is ready to be written
    journal   a run's events, and the checkpoint with them
    budget    how much memory the events of one run may take
    stores    from a Storage object to an open store
    writer    writes one run's segments
"""
