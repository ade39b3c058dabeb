"""Components and ClusterComponents.

Modules:

    checks   checks each one when it changes, and writes its status
"""
