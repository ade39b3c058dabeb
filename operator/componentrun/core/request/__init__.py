"""Validate what a run requests, and combine it with its Component.

Modules, lowest first:

    similar        suggestions for a name that does not exist
    platformkeys   Secrets that no run may use
    parameters     the parameters of a run: one object from three possible fields
    image          the image of a run
    allowed        what a Component allows its runs to set
    resources      CPU, memory, time and user of a container
    network        network access of a run
    buckets        buckets that a run may write to
    files          input and output files
    requested      types that the modules of this package share
    mapping        input and output tables
    config         config.json and the environment
    imageparameters  image parameters: those of the Component, or the run's own
    processors     the processors of a run
    resolve        combines everything in one frozen `EffectiveRun`
"""
