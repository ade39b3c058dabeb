"""A fake Kubernetes API server for unit tests, held to the real one by `conformance`.

It keeps objects in memory and answers requests the way the API server does: resource versions, watches with bookmarks
and expired versions, merge and JSON patches, optimistic concurrency, finalizers, graceful deletion, generated names,
selectors, pages, and the subresources that this project uses. Tests inject what goes wrong: delays, refusals, lost
requests, lost answers, watches that are held or cut.

Left out: schemas (any object is valid; defaults of CRDs are added if a test asks for them), authorization, strategic
merge patches, managed fields, and controllers other than the garbage collector. There is no kubelet: a test that needs
one changes pods with `ApiServer.change`.

One set of rules, spoken in two ways:

- `http.HttpServer`: over a socket, on the event loop of the test, for any client.
- `inprocess`: the project's two clients without HTTP, for tests on virtual time and for those that make thousands of
  requests.

`conformance` has the scenarios. `tests/unit/fakekube` runs them against the fake, `tests/integration/fakekube` against
the API server of the test cluster: a scenario that passes there and fails here is a defect of the fake.

Modules, lowest first:

    refusals     Status objects and the errors that carry them
    kinds        which kinds of objects there are, and the paths of requests
    messages     requests and responses
    selectors    label and field selectors
    patches      merge patch, JSON patch
    applying     server-side apply
    schemas      defaults of CRDs
    storage      objects by key, resource versions, the history of changes
    writing      create, replace, patch and delete
    reading      get and list, in pages
    watching     watches
    podresources log, eviction and binding of pods
    faults       what goes wrong with requests on their way
    server       the API server: finds out what a request wants
    http         the server on a socket
    inprocess    the project's clients at the server, without HTTP
    conformance  scenarios that hold for the fake and for the real API server
"""
