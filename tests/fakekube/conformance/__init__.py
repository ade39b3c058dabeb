"""Scenarios that hold for the fake and for the real API server: statuses, reasons, messages and shapes.

Each class is collected twice: by `tests/unit/fakekube/test_conformance.py` and, against the API server of the test
cluster, by `tests/integration/fakekube/test_conformance.py`. Both give the fixture `api`, a namespace that nobody else
uses. Scenarios wait for conditions, as the real server's controllers take their time.

Modules:

    api        requests to the server in that namespace, and what is compared of its answers
    objects    create, get, replace, dry run
    patching   merge patch, JSON patch, status, generations
    applying   server-side apply: owners of fields, conflicts
    deleting   preconditions, finalizers, owners, namespaces
    pods       grace periods, eviction, binding, logs, quotas
    listing    selectors, pages
    watching   events, selectors, bookmarks, expired versions
"""

from tests.fakekube.conformance.applying import ApplyingObjects
from tests.fakekube.conformance.deleting import DeletingObjects, Finalizers, Namespaces, Owners
from tests.fakekube.conformance.listing import ListingObjects, Pages
from tests.fakekube.conformance.objects import CreatingObjects, ReplacingObjects
from tests.fakekube.conformance.patching import PatchingObjects, Statuses
from tests.fakekube.conformance.pods import Logs, Pods, Quotas
from tests.fakekube.conformance.watching import WatchingObjects

__all__ = [
    "ApplyingObjects",
    "CreatingObjects",
    "DeletingObjects",
    "Finalizers",
    "ListingObjects",
    "Logs",
    "Namespaces",
    "Owners",
    "Pages",
    "PatchingObjects",
    "Pods",
    "Quotas",
    "ReplacingObjects",
    "Statuses",
    "WatchingObjects",
]
