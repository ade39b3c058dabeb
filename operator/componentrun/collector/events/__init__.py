"""Writes events to Storage, in segments with a checkpoint.

Modules, lowest first:

    pending     events that are not in a segment yet
    segment     a segment that is ready to be written
    buildlines  how many lines of builds a run has
    journal     the pending events of a run, and their checkpoint
    budget      memory for the events of all runs: pending ones, and segments that are not merged yet
    stores      opens the stores of Storage objects
    merger      merges the segments of one run
    writer      writes the segments of one run
"""
