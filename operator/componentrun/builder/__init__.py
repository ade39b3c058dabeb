"""What the containers of a build do: fetch a repository, and push its layers.

The commands of a build run between the two in the parent image, where nothing of this package is. What is decided is
decided in `core.builds`.

Modules, lowest first:

    settings     how to reach git hosts and registries
    grants       what goes into the build, and logins
    folder       the content of a folder as entries of a layer
    retrying     repeats requests to a registry that is away
    pushing      pushes an image: what the registry has is not sent
    preparing    the step before the commands
    publishing   the step after them
    dockerfiles  the steps before and after BuildKit builds a Dockerfile
"""
