"""Resolves the images of runs whose Components have channels (decision 0098).

Modules, lowest first:

    logins      credentials from the pull secrets of a run
    asking      asks a registry for the digest of a choice
    verifying   verifies the signature of a digest
    awayhosts   hosts that did not respond a moment ago
    gitcommits  looks up which commit a branch or tag means now
    building    the image of a channel with `build`: it is there, or the run waits for a ComponentBuild
    channels    reads and writes the channels in the status of a Component
    tagchecks   looks up the tags of pinned channels in the background
    resolving   the image of a run: kept digest, shared request, or the last known one
    steps       the images of processors
"""
