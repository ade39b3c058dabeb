"""Images that are built from git repositories.

Modules, lowest first:

    source          what a channel says about its build
    componentbuild  `ComponentBuild`: one build, with everything that goes into it
"""
