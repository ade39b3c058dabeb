"""Reads logs from the files of the nodes.

Modules, lowest first:

    position   how far a log was read
    lines      bytes of log files to lines
    servers    the log servers of the nodes
    follower   follows the log of one container
"""
