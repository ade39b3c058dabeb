"""Maintenance: goes over all Storages once, sweeps their buckets, maintains their tables, and ends.

What comes in: Storage objects and their Secrets. What goes out: log lines, and an exit code that says whether all went
well. Nothing of it is needed for a run, and it may be killed at any moment.
Done elsewhere: what is swept, and why that is safe (`componentrun.storage`), how tables are maintained
(`componentrun.loader.maintenance`), when it starts (a CronJob of the chart). A process of its own, because rewriting
files of tables needs memory and local disk that the operator and the loaders must not take.
"""
