"""Tables, events and grants on an S3-compatible object store.

What comes in: a `StoreSettings` (from a Storage object and its Secret) and the documents of `componentrun.exchange`.
What goes out: pointers that change by compare-and-swap, plans and grants for the agents, events for readers.
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
    connection    the one border to obstore
    document      the form of all documents, and how one is read back
    columns       what a pointer says of a column
    pointer       what a table is, and the pure rules of a load; loads: loads from what stage-out wrote
    tables        reading, listing and deleting tables
    history       versions of tables; restore: an earlier one becomes the newest
    reading       how a table is read; pure. scans: how a table of a catalog is read
    files         records of files: making, reading, changing, deleting them; filegroups: keys that many share;
                  fileexpiry: deleting those that have expired
    filelookup    finding files by id, name, pattern, tags
    commit        publishing: journal, then compare-and-swap; uploaded: checks of uploaded objects before that
    grants        the one module that signs; scope: whether the store keeps grants apart; probing: requests for that
    versions      what else lies under the keys of a bucket that keeps versions; hidden: deleting it
    state         state of a configuration between runs; adaptive: how far it has read its tables
    plans         what an attempt may read and write, as documents for the agents; in them fileinput, inputmanifest
    slices        rows to slices and back
    events        what an event is; eventlines: many of them as text; eventsegments: storing them; eventruns: whose
    eventreader   the events of a run; eventfeed: those that fit; eventquery: of many runs; eventexport: as Parquet
    unsent        which events a receiver has not got yet
    deadletters   which events a receiver does not accept
    upload, download, export   tables from and to local files, without a pod
    fileupload    local files as files of Storage, without a pod
    compaction    which segments of a table are to become one, and the table then; pure
    rewriting     compacting: new slices, then compare-and-swap
    named         what holds data: pointers, kept versions, files
    leftovers     documents that outlived their runs
    multipart     uploads in parts that nobody ended
    sweep         deleting what has expired, what nothing names, what outlived its run
    retention     how long events are kept; eventsweep: deleting those that were kept for long enough
    doctor        can this store do what is needed?

Only errors of `componentrun.errors` (and subclasses of them) leave this package.
"""
