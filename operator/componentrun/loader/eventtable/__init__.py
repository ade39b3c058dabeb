"""The table `events` of a catalog: the events of runs whose events are complete, for SQL.

Maintenance appends to it once a day. The table itself shows which events it has: the largest number of each run's
events. A commit requires the snapshot that was read, so each event is appended once, even if a process is killed, or
several processes append at the same time.

Modules, lowest first:

    table       name, columns, partitions and marks of the table
    files       data files of a range of days
    present     which events are in the table
    writing     events to Parquet files, one for each day
    changing    the change that adds and removes files
    appending   append the events of runs that have ended
    expiring    delete events past their retention
    retentions  the retention of each Storage, and the events of Storages that are gone
    daily       the daily update: append, expire, and record a mark
    querying    SQL queries over the table
"""
