"""What runs beside a component in its pod: `stage-in` brings the input, `stage-out` uploads the output.

What comes in: a grant (a mounted Secret) and the plan that it leads to. What goes out: the data folder, or objects
below the attempt's own prefix; one JSON object a line on stdout for the events; a result as termination message.
Done elsewhere: signing and planning (`storage`), publishing what was uploaded (`storage.commit`, by the controller).

Modules, lowest first:

    progress      lines on stdout that become events
    transfer      HTTP to the object store: connections, patience, what an answer means
    parallel      a few threads that share one stream of work
    folder        the data folder, where nothing is trusted: no link is followed
    inflated      compressed files, read as what they hold
    plan          what an agent is to do, by its grant
    download      objects into files, several ranges at a time
    sliced        tables in their place: as files, or as folders of slices
    memory        what becomes of memory that is freed
    pieces        tables that can be looked at row by row, piece by piece
    mapping       tables to which a mapping, a primary key or deletions are to be applied, by DuckDB
    parquet       tables of a catalog: from Parquet files over signed URLs, by DuckDB
    secrets       secrets into config.json
    stage_in      the init container
    manifest      what a component says about a table it wrote; manifestkeys: which keys it may have; manifestvalues:
                  reading values of all languages
    outputs       which file becomes which table (pure); outputsizes: how much there is to store
    fileoutputs   which files below out/files are stored, and as what
    layout        where a file's rows begin and what its columns are; firstline: what its first line warns of
    checking      the full check of CSV in processes beside the upload
    kept          result.json, usage.json and artifacts
    form          the body of a POST, read from a file while it is sent
    packing       rows, compressed before they travel
    upload        slices to objects; fileupload: files
    stage_out     the sidecar, once the component has ended
    outcome       termination messages and exit codes
    waiting       the sidecar until then
    gelf          the sidecar that receives GELF, a package of its own

Nothing heavy is imported: the standard library, modules beside this package, `storage.layout`, and DuckDB where there
is something to apply. An agent starts twice for every run, and http.client is up in 40 ms where urllib3 takes 110.
"""
