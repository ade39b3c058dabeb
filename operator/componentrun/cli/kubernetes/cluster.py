"""The border to Kubernetes, as the commands see it: plain JSON objects in and out.

`KubeCluster` (kube.py) does it for real; tests have one in memory. Every method raises only `BadRequestError`,
`NotFoundError` and `EnvironmentFault`, whose messages name the verb and the object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP: Final = "componentrun.dev"
"""The same as in `componentrun.api` (a test holds it), which takes a tenth of a second to load."""
API_VERSION: Final = f"{GROUP}/v1alpha1"

__all__ = [
    "COMPONENTS",
    "CRDS",
    "DAEMON_SETS",
    "DEPLOYMENTS",
    "REVIEWS",
    "RUNS",
    "SECRETS",
    "STATEFUL_SETS",
    "STORAGES",
    "Cluster",
    "JsonObject",
    "Resource",
]

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object."""

    root: str
    """Path of its group and version."""
    plural: str
    kind: str
    namespaced: bool = True

    def path(self, namespace: str | None, name: str = "") -> str:
        """URL path of one object, or of the collection; `namespace` None: of all namespaces."""
        place = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None and self.namespaced else ""
        return f"{self.root}{place}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")


RUNS: Final = Resource(f"/apis/{API_VERSION}", "componentruns", "ComponentRun")
COMPONENTS: Final = Resource(f"/apis/{API_VERSION}", "components", "Component")
STORAGES: Final = Resource(f"/apis/{API_VERSION}", "storages", "Storage")
SECRETS: Final = Resource("/api/v1", "secrets", "Secret")
DEPLOYMENTS: Final = Resource("/apis/apps/v1", "deployments", "Deployment")
STATEFUL_SETS: Final = Resource("/apis/apps/v1", "statefulsets", "StatefulSet")
DAEMON_SETS: Final = Resource("/apis/apps/v1", "daemonsets", "DaemonSet")
CRDS: Final = Resource(
    "/apis/apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
REVIEWS: Final = Resource("/apis/authentication.k8s.io/v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False)
"""Answers who asks; nothing is stored."""
CRD_NAMES: Final = tuple(f"{what.plural}.{GROUP}" for what in (RUNS, COMPONENTS, STORAGES))


class Cluster(Protocol):
    """One cluster and the namespace that the person works in."""

    @property
    def namespace(self) -> str:
        """Where objects are read and written."""

    @property
    def server(self) -> str:
        """URL of the API server; for messages."""

    def version(self) -> str:
        """Version of Kubernetes, e.g. `v1.35.4`."""

    def who(self) -> str:
        """The person, as the cluster knows them."""

    def get(self, what: Resource, name: str) -> JsonObject:
        """One object.

        Raises:
            NotFoundError: there is none, or the cluster does not know its kind.
        """

    def list(
        self, what: Resource, *, selector: str = "", fields: Mapping[str, str] | None = None, everywhere: bool = False
    ) -> list[JsonObject]:
        """Objects that have the labels of `selector` and whose fields have these values."""

    def create(self, what: Resource, manifest: JsonObject, *, dry_run: bool = False) -> JsonObject:
        """Create an object; with `dry_run` the API server checks it and keeps nothing."""

    def patch(self, what: Resource, name: str, patch: JsonObject) -> JsonObject:
        """Merge `patch` into an object."""

    def delete(self, what: Resource, name: str) -> None:
        """Delete an object."""
