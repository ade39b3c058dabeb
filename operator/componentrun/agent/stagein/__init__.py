"""The init container: brings input tables and files into the data folder.

Modules, lowest first:

    download     bytes from the store into files
    inflated     compressed input
    form         headers and delivered columns
    parquet      tables from Parquet files, by DuckDB
    csvobjects   CSV objects of the store as input
    scratch      room for DuckDB's temporary files
    secrets      secrets into config.json
    main         the whole stage-in
"""
