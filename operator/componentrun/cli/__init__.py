"""The command line `componentrun`: what people type.

What comes in: arguments, the kubeconfig and the namespace's Storage. What goes out: data on stdout, progress and errors
on stderr, an exit code that scripts can rely on. What is done elsewhere: every decision about a run
(`componentrun.controller`), the bytes of tables and events (`componentrun.storage`).

Modules, lowest first:

    words       numbers and times in people's words; render: how things look; yamltext: YAML as `kubectl` reads it
    errors      errors with a hint, and exit codes
    options     options that several commands share; eventoptions: those that choose events; flags: flags of `submit`
    cluster     the border to Kubernetes; kube: for real; answers: what its refusals mean
    store       the border to Storage, filestore: of its files, tablestore: of its tables; objects, fileobjects,
                catalogtables: for real
    sqlsetup    lines that attach a catalog in other engines; catalogchecks: what `doctor` says of a catalog
    session     what one invocation works with: cluster, store, output
    asking      whether somebody is sure; progress: how far a transfer is; saving: files that are never half
    interrupts  Ctrl-C that is heard
    parameters  parameters on their way into the text that a run holds
    sources     where manifests, tables and files come from: a file, stdin, another run
    manifest    flags and files to a ComponentRun, validated
    follow      waiting for runs and following them, exit codes
    describe    a run in people's words
    conversion  exported configurations to ComponentRuns; conversionmapping: their input and
                output; conversionvalues: single values
    submit, convert, runs, artifacts, table, versions, query, file, state, events, upkeep,
                doctor: each a group of commands
    app         the commands put together, and the one place where an error becomes a message and an exit code
    reference   docs/reference/cli.md from the commands themselves

Imports at the top of these modules are cheap ones: `componentrun --help` must not load a client.
"""
