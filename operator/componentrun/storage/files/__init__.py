"""Files: named, tagged bytes.

Modules, lowest first:

    index     keys by which files are found
    record    all that is known of a file
    groups    index entries that many files share
    records   make, read, change and delete files
    lookup    find files by id, name, pattern and tags
    expiry    delete expired files
    upload    a local file to Storage
    publish   the files of an attempt appear together
"""
