"""The data that a run reads and publishes: its input and output mapping.

Modules, lowest first:

    changedsince   `changedSince` of an input table
    tables         input and output mapping of tables
    files          input and output mapping of files, and files in a status
"""
