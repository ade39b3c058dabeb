"""Deletes unneeded objects.

Modules, lowest first:

    leftovers   documents of deleted runs
    sweep       deletes expired objects and those of deleted runs
"""
