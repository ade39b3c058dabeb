"""The interface to Kubernetes: JSON objects in and out.

`client.KubeCluster` talks to the API server; tests have a cluster in memory. Every method raises only
`BadRequestError`, `NotFoundError` and `EnvironmentFault`, whose messages name the verb and the object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from componentrun.process.kubernetes.resources import Resource

__all__ = ["Cluster", "JsonObject"]

JsonObject = dict[str, Any]


class Cluster(Protocol):
    """A cluster and the namespace of the command."""

    @property
    def namespace(self) -> str:
        """Where objects are read and written."""

    @property
    def server(self) -> str:
        """URL of the API server; for messages."""

    def close(self) -> None:
        """Close the connection. A later request opens a new one."""

    def version(self) -> str:
        """Version of Kubernetes, e.g. `v1.35.4`."""

    def who(self) -> str:
        """Name of the user in the cluster."""

    def get(self, resource: Resource, name: str, *, namespace: str | None = None) -> JsonObject:
        """One object. Namespace None: that of the command.

        Raises:
            NotFoundError: it does not exist.
            UnknownKindError: the cluster does not know its kind.
        """

    def list(
        self,
        resource: Resource,
        *,
        selector: str = "",
        fields: Mapping[str, str] | None = None,
        everywhere: bool = False,
        namespace: str | None = None,
    ) -> list[JsonObject]:
        """Objects that have the labels of `selector` and whose fields have these values.

        They are those of all namespaces with `everywhere`, else of `namespace`, which defaults to that of the command.
        """

    def log(self, pod: str, container: str, *, namespace: str, follow: bool) -> Iterator[str]:
        """Lines of a container's log. With `follow`, also new ones, until the container has ended."""

    def create(self, resource: Resource, manifest: JsonObject, *, dry_run: bool = False) -> JsonObject:
        """Create an object; with `dry_run` the API server only validates it."""

    def patch(self, resource: Resource, name: str, patch: JsonObject) -> JsonObject:
        """Merge `patch` into an object."""

    def apply(self, resource: Resource, manifest: JsonObject, manager: str, *, dry_run: bool = False) -> JsonObject:
        """Create an object, or make its fields those of the manifest. `manager` owns these fields from then on.

        With `dry_run` nothing is written, and the answer is what the object would be.
        """

    def delete(self, resource: Resource, name: str, *, uid: str = "") -> None:
        """Delete an object; with a uid only the one that has it."""
