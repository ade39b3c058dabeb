"""From the logs of containers to lines, and from lines to the contents of events.

Packages `api` and `node` are the two ways to read a log.

Modules, lowest first:

    line        one line of a log
    grouping    which lines are one event
    structure   a text to type, message and parameters
    sink        lines of one container into its run's journal
    choice      which of the two ways a log is read
"""
