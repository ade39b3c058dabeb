"""The command line `componentrun`.

What comes in: arguments, the kubeconfig and the namespace's Storage. What goes out: data on stdout, progress and errors
on stderr, an exit code that scripts can rely on. What is done elsewhere: every decision about a run
(`componentrun.controller`), the bytes of tables and events (`componentrun.storage`). What programs need as well, above
all the connection to the cluster and the Storage, is in `componentrun.client`.

Packages and modules, lowest first:

    errors       exit codes, and advice for errors
    terminal     output and input
    storage      what only commands need of a Storage
    session      what one invocation works with: cluster, store, output
    options      options that several commands share; eventoptions: options that select events
    request      from flags and files to a ComponentRun
    conversion   configurations that Keboola's API exported, as ComponentRuns
    userlogins   logins of registries of the person at the terminal
    catalogues   catalogues of Components: sources, printing, imports, the cluster
    follow       waits for runs and follows them; exit codes
    queryresults results of SQL queries: printed, or written to files
    eventsql     queries over the table of events
    buildchecks  checks of `doctor` of the namespace of builds
    describe     a run as text
    listing      runs as lines of a table
    commands     the commands, one module or package for each group
    app          puts the commands together; turns errors into messages and exit codes
    reference    docs/reference/cli.md from the commands

Imports at the top of these modules are cheap ones: `componentrun --help` must not load a client.
"""
