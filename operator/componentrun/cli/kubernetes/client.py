"""`KubeCluster`: the border to Kubernetes on the official client.

Objects stay plain JSON: the client's typed models know nothing of ours. Only this module imports `kubernetes`.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Final, cast

import urllib3.exceptions
from kubernetes import config
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import kube_config
from kubernetes.config.config_exception import ConfigException
from yaml import YAMLError

from componentrun.cli.errors import BadRequestError, EnvironmentFault
from componentrun.cli.kubernetes.answers import Asked, explain
from componentrun.cli.kubernetes.cluster import REVIEWS
from componentrun.process.depths import without_depths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.cli.kubernetes.cluster import JsonObject, Resource

__all__ = ["KubeCluster", "connect"]

_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 30.0
_PAGE: Final = 500
_OK: Final = range(200, 300)
_MERGE_PATCH: Final = "application/merge-patch+json"
_NO_SUCH_FIELD: Final = "field label not supported"
"""What an API server says that can't choose by fields of custom resources: before Kubernetes 1.31, none can."""
_TOKEN_NAMESPACE: Final = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"  # noqa: S105 - a path


class KubeCluster:
    """One context of a kubeconfig."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        """Use `connect` instead, but for tests."""
        self._client = client
        self.namespace = namespace

    @property
    def server(self) -> str:
        """URL of the API server."""
        return str(self._client.configuration.host)

    def version(self) -> str:
        """Version of Kubernetes."""
        return str(self._send("GET", "/version", self._asked("get", None))["gitVersion"])

    def who(self) -> str:
        """The person, as the cluster knows them."""
        asked = {"apiVersion": REVIEWS.root.removeprefix("/apis/"), "kind": REVIEWS.kind}
        return str(self.create(REVIEWS, asked)["status"]["userInfo"]["username"])

    def get(self, what: Resource, name: str) -> JsonObject:
        """One object."""
        return self._send("GET", what.path(self.namespace, name), self._asked("get", what, name))

    def list(
        self, what: Resource, *, selector: str = "", fields: Mapping[str, str] | None = None, everywhere: bool = False
    ) -> list[JsonObject]:
        """Objects, read in pages."""
        query = {"limit": str(_PAGE)}
        if selector:
            query["labelSelector"] = selector
        if fields:
            query["fieldSelector"] = ",".join(f"{path}={value}" for path, value in fields.items())
        namespace = None if everywhere else self.namespace
        asked = Asked("list", what, "", namespace, self.server)
        found: list[JsonObject] = []
        while True:
            try:
                page = self._send("GET", what.path(namespace), asked, query=query)
            except BadRequestError as error:
                if _NO_SUCH_FIELD not in error.message or query.pop("fieldSelector", None) is None:
                    raise
                continue  # all are listed, and sorted out here
            # Items of a list do not carry these two; whoever prints one expects them.
            head = {"apiVersion": page["apiVersion"], "kind": what.kind}
            found += [head | item for item in page["items"]]
            more = page["metadata"].get("continue")
            if not more:
                wanted = (fields or {}).items()
                return [item for item in found if all(_field(item, path) == value for path, value in wanted)]
            query["continue"] = more

    def create(self, what: Resource, manifest: JsonObject, *, dry_run: bool = False) -> JsonObject:
        """Create an object; unknown fields are refused, not dropped."""
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        path = what.path(self.namespace)
        name = str(manifest.get("metadata", {}).get("name", ""))
        return self._send("POST", path, self._asked("create", what, name), query=query, body=manifest)

    def patch(self, what: Resource, name: str, patch: JsonObject) -> JsonObject:
        """Merge `patch` into an object."""
        path = what.path(self.namespace, name)
        return self._send("PATCH", path, self._asked("patch", what, name), body=patch, content_type=_MERGE_PATCH)

    def delete(self, what: Resource, name: str) -> None:
        """Delete an object; what belongs to it goes with it."""
        body = {"propagationPolicy": "Background"}
        self._send("DELETE", what.path(self.namespace, name), self._asked("delete", what, name), body=body)

    def _asked(self, verb: str, what: Resource | None, name: str = "") -> Asked:
        return Asked(verb, what, name, self.namespace, self.server)

    def _send(
        self,
        method: str,
        path: str,
        asked: Asked,
        *,
        query: Mapping[str, str] | None = None,
        body: JsonObject | None = None,
        content_type: str = "application/json",
    ) -> JsonObject:
        """One request; its answer as JSON."""
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if body is not None else {})
        request = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._client.call_api(*request, _request_timeout=(_CONNECT_SECONDS, _READ_SECONDS))
            text = response.read()  # type: ignore[no-untyped-call]  # the client has no types
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            raise EnvironmentFault(
                f"the cluster at {self.server} does not answer: {_cause(error)}",
                "check that it is up and that this is the right one: `kubectl config current-context`; "
                "`--context NAME` chooses another",
            ) from error
        if response.status not in _OK:
            raise explain(response.status, text, asked)
        try:
            return _read(text)
        except ValueError as error:
            raise EnvironmentFault(
                f"{self.server} does not answer as a cluster does: {text[:60]!r}", "is there a proxy or a login page?"
            ) from error


def _field(item: JsonObject, path: str) -> Any:
    """The value at a path such as `spec.component`; None where it leads nowhere."""
    value: Any = item
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _read(text: bytes) -> JsonObject:
    """The answer; of objects that are nested too deep, what is not: one of them must not hide all others."""
    try:
        return cast("JsonObject", json.loads(text))
    except RecursionError:
        return cast("JsonObject", json.loads(without_depths(text)))


def _cause(error: BaseException) -> str:
    """The innermost reason of a failed connection, in a few words."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _cause(reason)
    text = str(reason or error).strip().rpartition(": ")[2]
    return re.sub(r"^\[Errno -?\d+\] ", "", text) or type(error).__name__


def connect(context: str | None, namespace: str | None) -> KubeCluster:
    """Choose cluster and namespace: from KUBECONFIG (or ~/.kube/config), else from the pod that this runs in.

    Raises:
        BadRequestError: there is no usable configuration.
    """
    if context is None and not _kubeconfig_there() and "KUBERNETES_SERVICE_HOST" in os.environ:
        return _in_cluster(namespace)
    try:
        chosen = _context(context)
        client = config.new_client_from_config(context=context)  # type: ignore[no-untyped-call]  # likewise
    except ImportError as error:
        raise BadRequestError(
            f"the kubeconfig names a SOCKS proxy, which this command line can't use: {_one_line(error)}",
            "name an HTTP proxy as `proxy-url`",
        ) from error
    except (ConfigException, OSError, TypeError, ValueError, AttributeError, LookupError, YAMLError) as error:
        # The client looks into a kubeconfig without checking its shape: whatever it trips over, the file is no good.
        raise BadRequestError(
            f"no usable kubeconfig: {_one_line(error)}",
            "set KUBECONFIG to the file that your cluster's administrator gave you, or pass `--context NAME`",
        ) from error
    return KubeCluster(client, namespace or chosen.get("context", {}).get("namespace") or "default")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()).removeprefix("Invalid kube-config file. ").rstrip(".")
    return f"{text[:1].lower()}{text[1:]}" or type(error).__name__


def _context(name: str | None) -> dict[str, Any]:
    """The context of this name, whatever the current one is; that one where there is no name."""
    if name is None:
        return dict(config.list_kube_config_contexts()[1])  # type: ignore[no-untyped-call]  # likewise
    merged = kube_config.KubeConfigMerger(kube_config.KUBE_CONFIG_DEFAULT_LOCATION).config  # type: ignore[no-untyped-call]  # likewise
    if merged is None:
        raise ConfigException("No configuration found")
    contexts = [node.value for node in merged["contexts"]]
    for candidate in contexts:
        if candidate["name"] == name:
            return dict(candidate)
    known = ", ".join(f"`{candidate['name']}`" for candidate in contexts)
    raise BadRequestError(
        f"the kubeconfig has no context `{name}`; it has {known}", "`kubectl config get-contexts` lists them"
    )


def _kubeconfig_there() -> bool:
    paths = os.environ.get("KUBECONFIG", "~/.kube/config").split(os.pathsep)
    return any(os.path.exists(os.path.expanduser(path)) for path in paths if path)  # noqa: PTH110, PTH111 - as the client looks


def _in_cluster(namespace: str | None) -> KubeCluster:
    settings = Configuration()
    try:
        config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]  # likewise
    except ConfigException as error:
        raise BadRequestError(
            f"there is no kubeconfig, and this pod has no usable service account token: {_one_line(error)}",
            "set KUBECONFIG to a kubeconfig, or give the pod a service account that may read runs "
            "(and `automountServiceAccountToken: true`)",
        ) from error
    if namespace is None:
        with open(_TOKEN_NAMESPACE, encoding="utf-8") as file:  # noqa: PTH123 - as above
            namespace = file.read().strip()
    return KubeCluster(ApiClient(configuration=settings), namespace)
