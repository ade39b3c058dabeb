"""Files, state, events, plans and grants on an S3-compatible object store. Tables are in catalogs (`loader`).

Input: a `StoreSettings` (from a Storage object and its Secret) and the documents of `componentrun.wire.agents`.
Output: records that change by compare-and-swap, plans and grants for the agents, events for readers.
Done elsewhere: moving bytes into and out of a pod (`componentrun.agent`), deciding when to publish (`core`).

Packages, lowest first:

    store     the interface to the object store, and the layout of its keys
    access    what an attempt may read and write
    files     named, tagged bytes
    state     state of configurations between runs
    events    events of runs
    cleanup   deletes unneeded objects

Only errors of `componentrun.errors` (and subclasses of them) leave this package.
"""
