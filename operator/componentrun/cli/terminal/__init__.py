"""What a person sees and types.

Modules, lowest first:

    words        numbers and times as text
    render       tables, colours, streams
    asking       confirmation
    progress     progress of a transfer
    saving       files that are never half-written
    interrupts   Ctrl-C
"""
