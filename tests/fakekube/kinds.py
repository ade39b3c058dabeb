"""The kinds of objects that the fake knows, and the paths that name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from componentrun.api.common import GROUP, VERSION


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object.

    Attributes:
        has_generation: whether a change of the spec counts up `metadata.generation`.
        is_custom: whether a CustomResourceDefinition defines it.
        fields: what field selectors may name besides name and namespace.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    has_status: bool = False
    has_generation: bool = False
    is_custom: bool = False
    fields: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """As manifests write it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As messages write it: `pods`, `componentruns.componentrun.dev`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _custom(plural: str, kind: str, *fields: str) -> Kind:
    return Kind(
        GROUP, VERSION, plural, kind, has_status=True, has_generation=True, is_custom=True, fields=fields
    )  # fmt: skip


KINDS: Final = (
    _custom("componentruns", "ComponentRun", "spec.component", "status.phase"),
    _custom("components", "Component"),
    Kind(
        GROUP, VERSION, "clustercomponents", "ClusterComponent", namespaced=False, has_status=True,
        has_generation=True, is_custom=True,
    ),
    _custom("storages", "Storage"),
    _custom("componentbuilds", "ComponentBuild", "spec.component"),
    Kind("", "v1", "namespaces", "Namespace", namespaced=False, has_status=True, fields=("status.phase",)),
    Kind(
        "", "v1", "pods", "Pod", has_status=True, has_generation=True,
        fields=("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase"),
    ),
    Kind("", "v1", "configmaps", "ConfigMap"),
    Kind("", "v1", "resourcequotas", "ResourceQuota", has_status=True),
    Kind("", "v1", "secrets", "Secret", fields=("type",)),
    Kind("", "v1", "events", "Event", fields=("reason", "type", "involvedObject.name", "involvedObject.uid")),
    Kind("apps", "v1", "deployments", "Deployment", has_status=True, has_generation=True),
    Kind("apps", "v1", "statefulsets", "StatefulSet", has_status=True, has_generation=True),
    Kind("apps", "v1", "daemonsets", "DaemonSet", has_status=True, has_generation=True),
    Kind("batch", "v1", "jobs", "Job", has_status=True, has_generation=True),
    Kind("coordination.k8s.io", "v1", "leases", "Lease"),
    Kind("events.k8s.io", "v1", "events", "Event"),
    Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", has_generation=True),
    Kind(
        "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False,
        has_status=True, has_generation=True,
    ),
    Kind("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False),
    Kind("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False),
)  # fmt: skip
_BY_PATH: Final = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
_BY_PLURAL: Final = {kind.plural: kind for kind in reversed(KINDS)}
"""Events of both groups are the same objects; the older group's name comes first."""


def kind_of(plural: str) -> Kind:
    """The kind that paths call so."""
    return _BY_PLURAL[plural]


def kinds_of(group: str, version: str) -> list[Kind]:
    """All kinds of a group, as discovery lists them."""
    return [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names: an object, a subresource of it, or with an empty name a collection."""

    kind: Kind
    namespace: str
    name: str = ""
    subresource: str = ""


def parse(path: str) -> Target | None:
    """What a path names; None if it is none of the objects that there are."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[:1] == ["api"]:
        group, version, rest = "", parts[1] if len(parts) > 1 else "", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 2:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = [*rest, "", "", ""][:3]
    kind = _BY_PATH.get((group, version, plural))
    if kind is None or (namespace and not kind.namespaced):
        return None
    return Target(kind, namespace, name, subresource)
