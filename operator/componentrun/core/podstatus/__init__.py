"""What a pod's status says: sorted once, then read by every decision.

Modules, lowest first:

    view            raw pod JSON to the facts that decisions use
    facts           what was done in a pod, from its state
    printed         a container's output as readable text
    lastwords       the component's last lines, for the status of a failed run
    errortext       the error sentence among the last lines of a program
    startfailures   why a container could not be started
    results         termination messages of the agents and of the component
    certainty       whether a pod must be read before a verdict
    stuck           why a pending pod has not started, and how long to wait
    diagnosis       one reason and one sentence for the end of a pod
"""
