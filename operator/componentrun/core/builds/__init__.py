"""Images that are built from git repositories: what goes into a build, and what comes out of it. Pure.

Packages and modules, lowest first:

    settings        settings of the chart
    errors          what can go wrong: one sentence for each cause
    source          URLs of repositories, and which commit a branch or tag means
    login           logins of git hosts, as Secrets have them
    registrylogins  logins of registries for the pod of a build
    paths           names, links and special files that no image gets
    conventions     commands for the languages that are recognised by their files
    lockfiles       whether a lock file fits its project
    identity        everything that goes into a build, and its hash
    dependencies    the layer of the dependencies, which later builds use again
    script          the shell script that runs the commands in the parent image
    dockerfile      the shell script that builds a Dockerfile with BuildKit
    layer           layers: archives that depend on their content alone
    image           the configuration and the manifest on top of the parent image
    exchange        what the operator and the containers of a build exchange
    pod             the pod of a build, and its Secrets
    failures        why a step, or the start of one, has failed
    observed        the state of a build, as its pod shows it
    lifecycle       from the channel of a run to a ComponentBuild, and its status to the end
"""
