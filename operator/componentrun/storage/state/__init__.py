"""State of configurations between runs.

Modules, lowest first:

    state      read and save states
    adaptive   how far a configuration has read its tables
"""
