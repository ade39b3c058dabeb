"""Images that are built from git repositories: what goes into a build, and what comes out of it. Pure.

Modules, lowest first:

    settings        settings of the chart
    errors          what can go wrong: one sentence for each cause
    source          URLs of repositories, and which commit a branch or tag means
    login           logins of git hosts, as Secrets have them
    registrylogins  docker configurations with the logins for one repository
    paths           names, links and special files that no image gets
    conventions     commands for the languages that are recognised by their files
    identity        everything that goes into a build, and its hash
    script          the shell script that runs the commands in the parent image
    layer           layers: archives that depend on their content alone
    image           the configuration and the manifest on top of the parent image
    exchange        what the operator and the containers of a build exchange
    report          what fetch and push report at their end
    failures        why a step failed or does not start
    pod             the pod of a build, and its Secrets
    observed        what a pod says about its build
    lifecycle       the status of a build, and how long it is kept
"""
