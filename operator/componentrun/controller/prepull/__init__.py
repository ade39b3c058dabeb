"""Brings images of channels to nodes, and keeps them there (decision 0110).

Modules, lowest first:

    seen      the DaemonSets and pods that do so, kept up to date by watches
    objects   creates, changes and deletes DaemonSets
    prepulls  reconciles the Components that want it, and writes their status
"""
