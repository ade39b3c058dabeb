"""Maintenance: goes over all Storages once, sweeps them, maintains their tables, and ends.

What comes in: Storage objects and their Secrets. What goes out: log lines, and an exit code that says whether all went
well. Nothing of it is needed for a run, and it may be killed at any moment.
Done elsewhere: what is swept and compacted, and why that is safe (`componentrun.storage`), what becomes of tables in
catalogs (`componentrun.loader.maintenance`), when it starts (a CronJob of the chart). A process of its own, because
compaction needs the memory that the operator must not take.
"""
