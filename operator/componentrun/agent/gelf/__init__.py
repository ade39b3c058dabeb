"""Receives GELF messages that the component sends to KBC_LOGGER_ADDR, and prints them as structured lines.

A separate sidecar, added if the Component requests it. It holds no grant, mounts nothing of the run, and listens on the
pod's loopback address only. Its lines are handled like all others: the collector reads the container's log, redacts
secrets and creates events. So messages are no more likely to be lost or duplicated than lines, and there is no second
way into Storage.

    messages    converts a message to a printed line, by the visibility of its level. Pure
    framing     splits streams and datagrams into messages: null bytes, chunks. Pure
    servers     receives messages over TCP, UDP and HTTP
"""
