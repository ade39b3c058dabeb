"""Names of images, which credentials belong to them, and their signatures. Pure.

Modules, lowest first:

    problems     what can be wrong with an image: one sentence for each cause
    reference    the name of a repository, normalised as container runtimes do
    semver       ranges of versions
    allowed      registries that images may come from
    pullsecrets  credentials of pull secrets, matched to repositories as the kubelet does
    pullsecretnames  the pull secrets of a run: of itself, its Components, its Storage and the agents
    signingkey   public keys of signatures: which are accepted, their fingerprints
    signatures   whether a signature of cosign is valid for an image and a key
    freshness    when the image of a channel must have been built
    channels     which channel a run uses, and what a Component's status keeps of it
    channelcheck  mistakes in the channels of a Component
    moved        tags of pinned channels that point to another digest now
    promotion    which digest promote and rollback write
    prepull      the DaemonSet that brings the image of a channel to nodes
    prepullstatus  what the status of a Component says about it
"""
