"""The command line `componentrun`: what people type.

What comes in: arguments, the kubeconfig and the namespace's Storage. What goes out: data on stdout, progress and errors
on stderr, an exit code that scripts can rely on. What is done elsewhere: every decision about a run
(`componentrun.controller`), the bytes of tables and events (`componentrun.storage`).

    app         the commands put together, and the one place where an error becomes a message and an exit code
    options     options that several commands share
    session     what one invocation works with: cluster, store, output
    cluster     the border to Kubernetes (`KubeCluster` implements it)
    store       the border to Storage (`ObjectStore` implements it)
    manifest    flags and files to a ComponentRun, validated
    follow      waiting for runs and following them, exit codes
    render      how things look
    submit, runs, table, events, doctor   a file for each group of commands
    reference   docs/reference/cli.md from the commands themselves

Imports at the top of these modules are cheap ones: `componentrun --help` must not load a client.
"""
