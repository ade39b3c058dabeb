"""Reads the logs of containers, and parses lines into events.

The packages `api` and `node` are the two readers: over the Kubernetes API, and from the log servers of the nodes.

Modules, lowest first:

    line        one line of a log
    grouping    which lines form one event
    structure   parses a text into type, message and parameters
    sink        passes the lines of one container to its run's journal
    choice      chooses the reader of a log
"""
