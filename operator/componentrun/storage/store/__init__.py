"""The border to the object store, and where everything lies in it.

Modules, lowest first:

    gather           many requests at once, within a limit
    keys             where every object lies; table ids
    clientvalues     values that all clients accept
    catalog          how to reach a Storage's Iceberg catalog
    settings         how to reach a Storage
    resource         settings from Storage objects and their Secrets
    errors           what the client's exceptions mean
    locations        where files of Iceberg tables are
    places           a Storage and its catalog in requests to the loader
    backend          obstore's client of a bucket
    connection       reads, writes and lists objects
    document         the form of all JSON documents
    objectversions   versions of objects, where a bucket keeps them
    hiddenversions   deletes what no listing shows
    multipart        uploads that nobody ended
"""
