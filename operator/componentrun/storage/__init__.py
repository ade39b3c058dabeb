"""Files, state, events, plans and grants on an S3-compatible object store. Tables are in catalogs (`loader`).

What comes in: a `StoreSettings` (from a Storage object and its Secret) and the documents of `componentrun.exchange`.
What goes out: records that change by compare-and-swap, plans and grants for the agents, events for readers.
Done elsewhere: moving bytes into and out of a pod (`componentrun.agent`), deciding when to publish (`core`).

Modules, lowest first:

    layout        where every object lies; table ids
    fileindex     ids of files, and the keys by which files are found; eventindex: those by which runs with events are
    clientvalues  which values all clients accept
    catalogsettings   how to reach a Storage's Iceberg catalog
    settings      how to reach a Storage; resource: from its object and its Secrets
    failures      what the client's exceptions mean
    locations     where files of Iceberg tables are
    places        a Storage and its catalog as part of a request
    backend       makes obstore's client of a bucket
    connection    the one border to obstore; gather: many requests at once
    document      the form of all documents, and how one is read back
    files         records of files: making, reading, changing, deleting them; filegroups: keys that many share;
                  filepublish: those of an attempt; fileexpiry: deleting those that have expired
    filelookup    finding files by id, name, pattern, tags
    grants        the one module that signs; scope: whether the store keeps grants apart; probing: requests for that
    versions      what else lies under the keys of a bucket that keeps versions; hidden: deleting it
    state         state of a configuration between runs; adaptive: how far it has read its tables
    reading       what a reader of a table asks for; scans: which files of the table it gets
    plans         what an attempt may read and write, as documents for the agents; in them fileinput, inputmanifest
    events        what an event is; eventlines: many of them as text; eventsegments: storing them; eventruns: whose
    eventreader   the events of a run; eventfeed: those that fit; eventquery: of many runs; eventexport: as Parquet
    unsent        which events a receiver has not got yet
    deadletters   which events a receiver does not accept
    upload        local CSV files in slices, for the loader; fileupload: local files as files of Storage, without a pod
    leftovers     documents that outlived their runs
    multipart     uploads in parts that nobody ended
    sweep         deleting what has expired, what nothing names, what outlived its run
    retention     how long events are kept; eventsweep: deleting those that were kept for long enough
    doctor        can this store do what is needed?

Only errors of `componentrun.errors` (and subclasses of them) leave this package.
"""
