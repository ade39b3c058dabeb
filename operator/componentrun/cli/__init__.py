"""The command line `componentrun`: what people type.

What comes in: arguments, the kubeconfig and the namespace's Storage. What goes out: data on stdout, progress and errors
on stderr, an exit code that scripts can rely on. What is done elsewhere: every decision about a run
(`componentrun.controller`), the bytes of tables and events (`componentrun.storage`).

Packages and modules, lowest first:

    errors       errors with a hint, and exit codes
    options      options that several commands share; eventoptions: those that choose events
    terminal     what a person sees and types
    kubernetes   the border to Kubernetes
    storage      the border to a Storage
    session      what one invocation works with: cluster, store, output
    request      from flags and files to a ComponentRun
    conversion   configurations that Keboola's API exported, as ComponentRuns
    follow       waits for runs and follows them; exit codes
    describe     a run as text
    commands     the commands, one module for each group
    app          puts the commands together; turns errors into messages and exit codes
    reference    docs/reference/cli.md from the commands

Imports at the top of these modules are cheap ones: `componentrun --help` must not load a client.
"""
