"""HTTP and TLS servers of long-running processes.

Modules, lowest first:

    certificate   a server's certificate, reloaded when it changes
    authority     clients that accept the chart's authority
    tlsserver     TLS
    metrics       metrics of every process
    server        probes and metrics over HTTP
"""
