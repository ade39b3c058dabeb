"""Checks parameters against JSON Schemas in processes of their own, which are stopped if they need too much.

Modules, lowest first:

    worker      such a process: requests on standard input, answers on standard output (`__main__` starts it)
    process     starts, uses and stops one
    checker     shares a few of them among the runs of all namespaces
    parameters  has the parameters of a run and of its processors checked
"""
