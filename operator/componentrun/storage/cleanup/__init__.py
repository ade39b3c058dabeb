"""Deletes what nobody needs any more.

Modules, lowest first:

    leftovers   documents that outlived their runs
    sweep       deletes what has expired or outlived its run
"""
