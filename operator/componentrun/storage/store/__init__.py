"""The interface to the object store, and the layout of its keys.

Modules, lowest first:

    gather           concurrent requests within a limit
    keys             keys of all objects; table ids
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
    hiddenversions   deletes versions that no listing shows
    multipart        unfinished multipart uploads
"""
