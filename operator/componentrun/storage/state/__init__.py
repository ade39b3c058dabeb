"""State of configurations between runs.

Modules, lowest first:

    state      read and save states
    adaptive   positions up to which a configuration has read its tables
"""
