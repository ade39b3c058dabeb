"""Builds of images from git repositories.

Modules, lowest first:

    seen     ComponentBuilds and their pods, as watches report them; creation of ComponentBuilds
    logins   logins that the pod of a build needs
    objects  pods and Secrets of builds
    unread   builds whose lines are not among the events of runs yet
    builds   executes ComponentBuilds
    starts   carries out requests to build the image of a channel without a run
"""
