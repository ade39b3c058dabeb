"""Files, state, events, plans and grants on an S3-compatible object store. Tables are in catalogs (`loader`).

What comes in: a `StoreSettings` (from a Storage object and its Secret) and the documents of `componentrun.wire.agents`.
What goes out: records that change by compare-and-swap, plans and grants for the agents, events for readers.
Done elsewhere: moving bytes into and out of a pod (`componentrun.agent`), deciding when to publish (`core`).

Packages, lowest first:

    store     the border to the object store, and where everything lies in it
    access    what an attempt may read and write
    files     named, tagged bytes
    state     state of configurations between runs
    events    events of runs
    cleanup   deletes what nobody needs any more

Only errors of `componentrun.errors` (and subclasses of them) leave this package.
"""
