"""Catalogues at a terminal.

Modules, lowest first:

    registries bundles in registries
    sources    a catalogue from a folder, a bundle or a registry
    printing   findings, differences and lists as text
    imports    imports files and folders, and writes Components
    cluster    the Components of a cluster, and what a sync writes
"""
