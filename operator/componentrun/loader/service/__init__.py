"""The loader's HTTP service: authentication, queueing and execution of requests.

Modules, lowest first:

    engine     interface of the operations
    tables     the operations on real catalogs
    slots      limits of concurrent requests, with fair queueing
    carrying   executes a request
    server     HTTP over TLS
"""
