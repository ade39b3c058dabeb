"""`KubeCluster`: the blocking client of `process.kubernetes`, with errors for the person who typed the command."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from componentrun.client.errors import BadRequestError
from componentrun.client.kubernetes.answers import Asked, explain
from componentrun.process.kubernetes.access.context import access_of
from componentrun.process.kubernetes.access.errors import AccessError
from componentrun.process.kubernetes.access.incluster import in_cluster_access, is_in_cluster
from componentrun.process.kubernetes.access.kubeconfig import kubeconfig_files, read_kubeconfig
from componentrun.process.kubernetes.blocking import BlockingKube
from componentrun.process.kubernetes.errors import GoneError, KubeError
from componentrun.process.kubernetes.resources import SELF_SUBJECT_REVIEWS, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from componentrun.client.kubernetes.cluster import JsonObject
    from componentrun.process.kubernetes.access.access import Access
    from componentrun.process.kubernetes.httpconnection import Connection

__all__ = ["KubeCluster", "access_to", "connect"]

WATCH_SECONDS: Final = 240
"""Maximum duration of a watch."""
_POD_LOG: Final = Resource("", "v1", "pods/log", "Pod")
"""As rights and messages name it."""
_NO_SUCH_FIELD: Final = "field label not supported"
"""Message of an API server before Kubernetes 1.31, which can't select custom resources by fields."""


class KubeCluster:
    """A cluster and a namespace."""

    def __init__(self, kube: BlockingKube, namespace: str) -> None:
        """Nothing is sent yet."""
        self._kube = kube
        self.namespace = namespace

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self._kube.access.server

    def close(self) -> None:
        """Close the connection. A later request opens a new one."""
        self._kube.close()

    def version(self) -> str:
        """Version of Kubernetes."""
        with self._explained("get", None):
            return str(self._kube.request("GET", "/version")["gitVersion"])

    def who(self) -> str:
        """Name of the user in the cluster."""
        review = {"apiVersion": SELF_SUBJECT_REVIEWS.api_version, "kind": SELF_SUBJECT_REVIEWS.kind}
        return str(self.create(SELF_SUBJECT_REVIEWS, review)["status"]["userInfo"]["username"])

    def get(self, resource: Resource, name: str, *, namespace: str | None = None) -> JsonObject:
        """One object. Namespace None: that of the command."""
        place = namespace or self.namespace
        with self._explained("get", resource, name, place):
            return self._kube.get(resource, place, name)

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
        values = dict(fields or {})
        place = None if everywhere else namespace or self.namespace
        by_fields = ",".join(f"{path}={value}" for path, value in values.items())
        with self._explained("list", resource, namespace=place):
            try:
                items = self._kube.list(resource, place, labels=selector, fields=by_fields)
            except KubeError as error:
                if not values or _NO_SUCH_FIELD not in error.message:
                    raise
                items = self._kube.list(resource, place, labels=selector)
        return [item for item in items if all(_field(item, path) == value for path, value in values.items())]

    def log(self, pod: str, container: str, *, namespace: str, follow: bool) -> Iterator[str]:
        """Lines of a container's log. With `follow`, also new ones, until the container has ended."""
        with self._explained("get", _POD_LOG, pod, namespace):
            for line in self._kube.log(namespace, pod, container, follow=follow):
                yield line.decode(errors="replace").rstrip("\r\n")

    def create(
        self, resource: Resource, manifest: JsonObject, *, dry_run: bool = False, may_repeat: bool = False
    ) -> JsonObject:
        """Create an object; unknown fields are refused, not dropped."""
        with self._explained("create", resource, str(manifest.get("metadata", {}).get("name", ""))):
            return self._kube.create(resource, self.namespace, manifest, dry_run=dry_run, may_repeat=may_repeat)

    def watch(self, resource: Resource, name: str, version: str, connection: Connection) -> Iterator[JsonObject]:
        """Watch events of one object behind a version, until the server ends the response.

        If the version is too old, the object is read again and returned as an event of type `MODIFIED`.
        """
        with self._explained("watch", resource, name):
            try:
                yield from self._kube.watch(
                    resource,
                    self.namespace,
                    version,
                    WATCH_SECONDS,
                    fields=f"metadata.name={name}",
                    connection=connection,
                )
            except GoneError:
                yield {"type": "MODIFIED", "object": self._kube.get(resource, self.namespace, name)}

    def watch_connection(self) -> Connection:
        """A connection for `watch`."""
        return self._kube.watch_connection(WATCH_SECONDS)

    def patch(self, resource: Resource, name: str, patch: JsonObject) -> JsonObject:
        """Merge `patch` into an object."""
        with self._explained("patch", resource, name):
            return self._kube.patch(resource, self.namespace, name, patch)

    def apply(self, resource: Resource, manifest: JsonObject, manager: str, *, dry_run: bool = False) -> JsonObject:
        """Apply an object on the server; unknown fields are refused, not dropped."""
        with self._explained("patch", resource, str(manifest["metadata"]["name"])):
            return self._kube.apply(resource, self.namespace, manifest, manager, dry_run=dry_run)

    def delete(self, resource: Resource, name: str, *, uid: str = "") -> None:
        """Delete an object; what belongs to it goes with it."""
        with self._explained("delete", resource, name):
            self._kube.delete(resource, self.namespace, name, uid=uid)

    @contextmanager
    def _explained(
        self, verb: str, resource: Resource | None, name: str = "", namespace: str | None = ""
    ) -> Iterator[None]:
        """Turn errors of the client into errors for the user. Namespace empty: the cluster's; None: all."""
        try:
            yield
        except KubeError as error:
            place = self.namespace if namespace == "" else namespace
            raise explain(error, Asked(verb, resource, name, place, self.server)) from error
        except AccessError as error:
            raise BadRequestError(error.summary, error.advice) from error


def _field(item: JsonObject, path: str) -> Any:
    """The value at a path such as `spec.component`; None if it leads nowhere."""
    value: Any = item
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def connect(context: str | None, namespace: str | None, kubeconfig: Path | None = None) -> KubeCluster:
    """Connect to the cluster of the kubeconfig or, without one, of the pod that this process runs in.

    Raises:
        BadRequestError: there is no usable configuration.
    """
    access = access_to(context, kubeconfig)
    try:
        return KubeCluster(BlockingKube(access), namespace or access.namespace)
    except AccessError as error:
        raise BadRequestError(error.summary, error.advice) from error


def access_to(context: str | None, kubeconfig: Path | None = None) -> Access:
    """How the cluster of the kubeconfig is reached or, without one, of the pod that this process runs in.

    Args:
        context: of the kubeconfig; None: its current one.
        kubeconfig: file; None: those that KUBECONFIG names, or `~/.kube/config`.

    Raises:
        BadRequestError: there is no usable configuration.
    """
    try:
        return _access(context, kubeconfig)
    except AccessError as error:
        raise BadRequestError(error.summary, error.advice) from error


def _access(context: str | None, kubeconfig: Path | None) -> Access:
    files = kubeconfig_files() if kubeconfig is None else [kubeconfig]
    if context is not None or files or not is_in_cluster():
        return access_of(read_kubeconfig(files), context)
    try:
        return in_cluster_access()
    except AccessError as error:
        raise BadRequestError(
            f"there is no kubeconfig, and this pod has no usable service account token: {error.summary}",
            "Set KUBECONFIG to a kubeconfig, or give the pod a service account that may read runs "
            "(and `automountServiceAccountToken: true`).",
        ) from error
