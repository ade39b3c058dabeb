"""The init container: brings input tables and files into the data folder.

Modules, lowest first:

    download     downloads objects to files
    inflated     decompresses files
    form         bodies of uploads
    scratch      a folder for temporary files
    parquet      tables from Parquet files, with DuckDB
    csvobjects   tables from CSV objects, with DuckDB
    secrets      inserts secrets into config.json
    main         entry point of stage-in
"""
