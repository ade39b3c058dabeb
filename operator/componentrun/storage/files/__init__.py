"""Files: named, tagged bytes.

Modules, lowest first:

    index     keys to find files
    record    the record of a file
    groups    index entries that many files share
    records   create, read, change and delete files
    lookup    find files by id, name, pattern and tags
    expiry    delete expired files
    upload    upload a local file
    publish   publish all files of an attempt together
"""
