"""Requests to the loader: who may ask, whose turn it is, what is done.

Modules, lowest first:

    engine     what can be asked
    tables     carries it out on real catalogs
    slots      how many requests at a time, and whose turn it is
    carrying   one request, from its body to its answer
    server     HTTP over TLS
"""
