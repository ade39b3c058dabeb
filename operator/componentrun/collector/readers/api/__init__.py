"""Reads logs over the Kubernetes API.

Modules, lowest first:

    lines      bytes of a response to lines
    position   how far a log was read
    response   which lines of a response are new
    end        whether the last line of a log was read
    follower   follows the log of one container
"""
