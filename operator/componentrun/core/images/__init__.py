"""Names of images, and which registries and credentials belong to them. Pure.

Modules, lowest first:

    reference    the name of a repository, normalised as container runtimes do
    allowed      registries that images may come from
    pullsecrets  credentials of pull secrets, matched to repositories as the kubelet does
"""
