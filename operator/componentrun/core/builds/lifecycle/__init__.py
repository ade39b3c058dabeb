"""The life of a ComponentBuild.

Modules, lowest first:

    request  from a channel with `build` to the ComponentBuild that a run needs
    status   its status, from what its pod says
    waiting  what a run that waits for it says
    starts   requests to build the image of a channel without a run
    unused   which images nothing names any more
    history  which ComponentBuilds that have ended are kept
"""
