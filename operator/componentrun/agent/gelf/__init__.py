"""GELF from the component: messages that it sends to KBC_LOGGER_ADDR, printed as structured lines.

It runs as a sidecar of its own beside a component whose Component asks for it, holds no grant, mounts nothing of the
run, and listens on the loopback address of the pod alone. What it prints goes the way of every other line: the
collector reads the container's log, takes secrets out, and makes events. So a message is neither lost nor doubled where
a line would not be, and no second way into Storage exists.

    messages    one message: bytes to a printed line, by the visibility of its level. Pure
    framing     streams and datagrams to messages: null bytes, chunks. Pure
    servers     TCP, UDP and HTTP
"""
