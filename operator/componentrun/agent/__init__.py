"""The agents beside a component in its pod: `stage-in` delivers the input, `stage-out` uploads the output.

If the run has processors, `step` prepares the data folder between two of them.

Input: a grant (a mounted Secret), and the plan whose URL the grant contains. Output: the data folder, or objects below
the attempt's own prefix; JSON lines on stdout, which become events; and a result as termination message.
Other packages sign and plan (`storage`) and publish what was uploaded (`loader`, called by the controller).

Packages and modules, lowest first:

    progress    prints lines that become events
    transfer    HTTP to the object store: connections, retries, meaning of responses
    parallel    a few threads that process one stream of items
    folder      the data folder, which is not trusted: links are not followed
    artifacts   finds artifacts in the data folder
    firstline   warnings about the first line of a file
    memory      keeps freed memory for reuse
    plan        fetches the plan of an agent
    outcome     termination messages and exit codes
    steps       between two steps of a pod with processors
    stagein     the init container
    stageout    the sidecar
    gelf        the sidecar that receives GELF

Imports are limited to the standard library, lower packages, `storage.store.keys`, and DuckDB if the run reads
tables. An agent starts twice for every run, and importing http.client takes 40 ms where urllib3 takes 110.
"""
