"""The kinds of objects of the Kubernetes API that processes work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from componentrun.api.common import GROUP, VERSION

__all__ = [
    "COMPONENTS",
    "CONFIG_MAPS",
    "EVENTS",
    "JOBS",
    "LEASES",
    "NETWORK_POLICIES",
    "PODS",
    "RUNS",
    "SECRETS",
    "STORAGES",
    "TOKEN_REVIEWS",
    "Resource",
]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object as the API server's paths name it."""

    group: str
    version: str
    plural: str

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """Path of an object or, without a name, of the collection. Namespace None: of the whole cluster."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part]
        return "/".join(parts)


RUNS: Final = Resource(GROUP, VERSION, "componentruns")
COMPONENTS: Final = Resource(GROUP, VERSION, "components")
STORAGES: Final = Resource(GROUP, VERSION, "storages")
PODS: Final = Resource("", "v1", "pods")
CONFIG_MAPS: Final = Resource("", "v1", "configmaps")
SECRETS: Final = Resource("", "v1", "secrets")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")
JOBS: Final = Resource("batch", "v1", "jobs")
EVENTS: Final = Resource("events.k8s.io", "v1", "events")
NETWORK_POLICIES: Final = Resource("networking.k8s.io", "v1", "networkpolicies")
TOKEN_REVIEWS: Final = Resource("authentication.k8s.io", "v1", "tokenreviews")
