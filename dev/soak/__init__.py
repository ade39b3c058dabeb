"""A soak test on the real cluster: `python -m dev.soak --minutes 30`.

Three tenants run in parallel while the operator and the collector are killed repeatedly:

- the hanging tenant: its store hangs most of the time,
- the edited tenant: it has a small quota, and labels of its runs and pods are edited,
- the steady tenant: none of its runs may fail, none of its lines may be lost, and its pods must be created quickly.
"""
