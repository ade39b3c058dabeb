"""Names of images, and which credentials belong to them. Pure.

Modules, lowest first:

    reference    the name of a repository, normalised as container runtimes do
    pullsecrets  credentials of pull secrets, matched to repositories as the kubelet does
"""
