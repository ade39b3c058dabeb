"""The life of a ComponentBuild.

Modules, lowest first:

    status   its status, from what its pod says
    waiting  what a run that waits for it says
    history  which ComponentBuilds that have ended are kept
"""
