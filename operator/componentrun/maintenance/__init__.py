"""Maintenance: one round over all Storages that sweeps their buckets and maintains their tables.

Input: Storage objects and their Secrets. Output: log lines, and an exit code that says whether every step succeeded.
No run depends on it, and it may be killed at any moment.
Other packages decide what is swept, and why that is safe (`componentrun.storage`), maintain tables
(`componentrun.loader.maintenance`), and schedule rounds (a CronJob of the chart). Maintenance is a process of its own
because rewriting tables takes memory and local disk that the operator and the loaders need.
"""
