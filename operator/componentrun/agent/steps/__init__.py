"""Between two steps of a pod with processors: the output of one becomes the input of the next.

Modules, lowest first:

    removing   deletes folders
    turning    `out` becomes `in`
    notes      what the agents of the pod leave each other
    taking     what the component left beside its output
    ended      how far the steps came, for stage-out
    main       entry point of the agent between two steps
"""
