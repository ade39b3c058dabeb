"""Writes events to Storage, in segments with a checkpoint.

Modules, lowest first:

    pending   events that are not in a segment yet
    segment   a segment that is ready to be written
    journal   the pending events of a run, and their checkpoint
    budget    memory for the pending events of each run
    stores    opens the stores of Storage objects
    merger    merges the segments of one run
    writer    writes the segments of one run
"""
