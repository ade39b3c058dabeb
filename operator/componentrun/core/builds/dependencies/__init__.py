"""The layer of the dependencies, which a later build of the same Component uses again.

Modules, lowest first:

    layer    a layer that was pushed, and the key by which it is found
    pins     whether files that name dependencies pin them, and refer to no other file
    reuse    what a build does about its dependencies
"""
