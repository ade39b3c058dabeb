"""A pod's status: read once, sorted once for each plan, and then used by every rule.

Modules, lowest first:

    view            a pod's status as named fields, whatever the time
    printed         a container's output as readable text
    errortext       the error sentence among the last lines of a program
    results         termination messages of the agents and of the component
    reading         raw pod JSON to a view
    facts           what follows for the attempt: how far the pod came, how it ended, what is overdue
    startfailures   why a container could not be started
    pullfailures    why an image could not be pulled
    verdict         what a diagnosis consists of
    agentfailures   failures of ComponentRun's own containers
    diagnosis       one reason and one sentence for the end of a pod
    stuck           why a pending pod has not started, and how long to wait
"""
