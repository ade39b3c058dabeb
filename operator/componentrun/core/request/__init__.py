"""What a run asks for, checked and resolved against its Component.

Modules, lowest first:

    similar        suggestions for a name that does not exist
    platformkeys   Secret keys that no run may have
    parameters     the parameters of a run: one object from three possible fields
    image          which image a run means
    resources      CPU and memory of the component
    network        what a run may reach
    buckets        buckets that a run may write to
    files          input and output files
    requested      types that the modules of this package share
    mapping        input and output tables
    config         config.json and the environment
    resolve        all of it in one frozen `EffectiveRun`
"""
