"""Why a step of a build failed or does not start: a sentence, and what to do.

Modules, lowest first:

    verdict   what a failure consists of
    commands  commands that ended with an error, from the end of what they printed
    starts    containers that can't be started, and images that can't be pulled
"""
