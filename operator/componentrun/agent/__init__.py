"""What runs beside a component in its pod: `stage-in` brings the input, `stage-out` uploads the output.

What comes in: a grant (a mounted Secret) and the plan that it leads to. What goes out: the data folder, or objects
below the attempt's own prefix; one JSON object a line on stdout for the events; a result as termination message.
Done elsewhere: signing and planning (`storage`), publishing what was uploaded (`loader`, for the controller).

Packages and modules, lowest first:

    progress    lines on stdout that become events
    transfer    HTTP to the object store: connections, patience, what an answer means
    parallel    a few threads that share one stream of work
    folder      the data folder, where nothing is trusted: no link is followed
    firstline   what the first line of a file warns of
    memory      gives freed memory back
    plan        what an agent is to do, by its grant
    outcome     termination messages and exit codes
    stagein     the init container
    stageout    the sidecar
    gelf        the sidecar that receives GELF

Nothing heavy is imported: the standard library, modules beside this package, `storage.store.keys`, and DuckDB if tables
are read. An agent starts twice for every run, and http.client is up in 40 ms where urllib3 takes 110.
"""
