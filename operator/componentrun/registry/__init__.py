"""Requests to registries of images (decision 0097).

The command line reads and uploads bundles of catalogues with the logins of its user.

Modules, lowest first:

    settings      how to reach registries
    errors        what can go wrong: one sentence for each cause
    origin        where a login may go
    exchange      one request with its redirects: TLS, timeouts, limits of size
    challenge     the header WWW-Authenticate
    tokens        tokens of registries that refer to a token service
    authorized    requests with a login, by Basic or by a token
    manifest      manifests: digests, platforms, layers
    client        digests of tags, lists of tags, manifests, what refers to them, and blobs
    verification  finds the signatures of an image, and checks them
    upload        uploads of artifacts and of parts of images
    removal       deletion of images
"""
