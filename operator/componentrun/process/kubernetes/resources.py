"""The kinds of objects of the Kubernetes API that this project works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from componentrun.api.names import GROUP, VERSION

__all__ = [
    "BUILDS",
    "CLUSTER_COMPONENTS",
    "COMPONENTS",
    "CONFIG_MAPS",
    "CRDS",
    "DAEMON_SETS",
    "DEPLOYMENTS",
    "EVENTS",
    "JOBS",
    "LEASES",
    "NAMESPACES",
    "NETWORK_POLICIES",
    "PODS",
    "RUNS",
    "SECRETS",
    "SELF_SUBJECT_REVIEWS",
    "STATEFUL_SETS",
    "STORAGES",
    "TOKEN_REVIEWS",
    "Resource",
    "component_resource",
]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object."""

    group: str
    version: str
    plural: str
    """As paths name it."""
    kind: str
    """As manifests name it."""
    is_namespaced: bool = True

    @property
    def api_version(self) -> str:
        """Group and version, as manifests name them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def rule(self) -> str:
        """As rights name it: `secrets`, `componentruns.componentrun.dev`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """Path of an object or, without a name, of the collection. Namespace None: of the whole cluster."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace is not None and self.is_namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part]
        return "/".join(parts)


RUNS: Final = Resource(GROUP, VERSION, "componentruns", "ComponentRun")
COMPONENTS: Final = Resource(GROUP, VERSION, "components", "Component")
CLUSTER_COMPONENTS: Final = Resource(GROUP, VERSION, "clustercomponents", "ClusterComponent", False)
STORAGES: Final = Resource(GROUP, VERSION, "storages", "Storage")
BUILDS: Final = Resource(GROUP, VERSION, "componentbuilds", "ComponentBuild")
PODS: Final = Resource("", "v1", "pods", "Pod")
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", False)
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS: Final = Resource("", "v1", "secrets", "Secret")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
STATEFUL_SETS: Final = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMON_SETS: Final = Resource("apps", "v1", "daemonsets", "DaemonSet")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
JOBS: Final = Resource("batch", "v1", "jobs", "Job")
EVENTS: Final = Resource("events.k8s.io", "v1", "events", "Event")
NETWORK_POLICIES: Final = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
CRDS: Final = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False)
TOKEN_REVIEWS: Final = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False)
SELF_SUBJECT_REVIEWS: Final = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", False)
"""Answers who asks; nothing is stored."""


def component_resource(kind: str) -> Resource:
    """The resource of a Component or ClusterComponent, by its kind."""
    return CLUSTER_COMPONENTS if kind == CLUSTER_COMPONENTS.kind else COMPONENTS
