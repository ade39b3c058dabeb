"""A soak test on the real cluster: `python -m dev.soak --minutes 30`.

Three tenants run side by side while the operator and the collector are killed again and again:

- one whose store hangs most of the time,
- one with a small quota whose runs and pods have their labels edited by hand,
- one that behaves: none of its runs may fail, none of its lines may be lost, and its pods must come quickly.
"""
