"""The log server of a node: serves the log files of the containers of runs to the collector.

What comes in: files below /var/log/pods, which the container runtime writes and the kubelet rotates, compresses and
deletes. What goes out: their bytes, to the collector only. Done elsewhere: what the bytes mean
(`componentrun.collector`); the words of the requests (`componentrun.wire.logserver`).

Modules, lowest first:

    files       one log file that is held open, plain or compressed
    container   the files of one container, in their order, across rotation
    folders     which containers are read: finds them, looks after them while they are
    settings, metrics
    app         the process
"""
