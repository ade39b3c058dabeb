"""ComponentBuilds and the pods of builds, as watches report them; and the creation of ComponentBuilds."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from componentrun.api import names
from componentrun.api.build.componentbuild import ComponentBuild
from componentrun.api.unreadable import what_is_wrong
from componentrun.controller.watching.cachekeys import Key
from componentrun.controller.watching.caches import ObjectCache
from componentrun.controller.watching.target import CountedTarget
from componentrun.core.builds.lifecycle.status import has_ended
from componentrun.core.lease.shard import WHOLE, Shard
from componentrun.errors import UnsupportedError
from componentrun.process.kubernetes.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from componentrun.process.kubernetes.exchange import read_json
from componentrun.process.kubernetes.resources import BUILDS, PODS
from componentrun.process.kubernetes.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from componentrun.controller.metrics import Metrics
    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.eventerrors import EventErrors

__all__ = ["BuildsSeen", "SeenPod", "build_of_pod", "make_build_watches"]

_MOST_TRIES: Final = 5
"""How often a build that is deleted between two requests is created again."""


@dataclass(frozen=True, slots=True)
class SeenPod:
    """The pod of a build."""

    name: str
    uid: str
    build_uid: str
    """Uid of the ComponentBuild that it was created for."""
    is_ending: bool = False
    """Whether it was deleted, and its node has not removed it yet."""


def build_of_pod(raw: Mapping[str, Any]) -> Key:
    """Key of the ComponentBuild that a pod belongs to."""
    labels = raw["metadata"]["labels"]
    return Key(labels[names.BUILD_NAMESPACE_LABEL], labels[names.BUILD_LABEL])


class BuildsSeen:
    """The latest known ComponentBuilds and pods of builds, in the namespaces that this operator works for.

    Attributes:
        namespaces: that are watched; empty: all.
    """

    def __init__(
        self, kube: Kube, shard: Shard = WHOLE, namespaces: Sequence[str] = (), operator_name: str | None = None
    ) -> None:
        """Send nothing yet.

        Args:
            kube: creates ComponentBuilds.
            shard: this operator's.
            namespaces: that it watches; empty: all.
            operator_name: value of `OPERATOR_LABEL` on the objects that are this operator's.
        """
        self._kube = kube
        self._shard = shard
        self.namespaces = tuple(namespaces)
        self._operator = operator_name
        self._builds = ObjectCache()
        self._parsed: dict[Key, tuple[bytes, ComponentBuild]] = {}
        """Builds that have not ended, with the documents that they were parsed from."""
        self._pods: dict[Key, dict[str, SeenPod]] = {}
        self._listeners: list[Callable[[Key], object]] = []
        self._builds.listen(self._tell)

    def listen(self, callback: Callable[[Key], object]) -> None:
        """Call this with the key of each ComponentBuild that is created, changed or deleted, or whose pod is."""
        self._listeners.append(callback)

    def get(self, key: Key) -> ComponentBuild | None:
        """The ComponentBuild of this name; None if there is none.

        Raises:
            UnsupportedError: this release can't read it.
        """
        document = self._builds.document(key)
        if document is None:
            return None
        known = self._parsed.get(key)
        if known is not None and known[0] is document:
            return known[1]
        try:
            build = read_json(document, ComponentBuild.model_validate_json)
        except ValidationError as error:
            raise UnsupportedError(f"ComponentBuild {key} can't be read: {what_is_wrong(error)}") from error
        self._parsed.pop(key, None)
        if not has_ended(build.status):
            self._parsed[key] = document, build
        return build

    def all_keys(self) -> set[Key]:
        """Keys of all ComponentBuilds, and of those that pods name."""
        return {*self._builds.all_keys(), *self._pods}

    def by_component(self) -> dict[tuple[str, str], list[ComponentBuild]]:
        """The ComponentBuilds that this release can read, by namespace and Component."""
        found: dict[tuple[str, str], list[ComponentBuild]] = {}
        for key in self._builds.all_keys():
            with suppress(UnsupportedError):
                build = self.get(key)
                if build is not None:
                    found.setdefault((key.namespace, build.spec.component), []).append(build)
        return found

    def of_component(self, namespace: str, component: str) -> list[ComponentBuild]:
        """The ComponentBuilds of a Component that this release can read."""
        found: list[ComponentBuild] = []
        name = component.encode()
        for key, document in self._builds.documents_of(namespace):
            if name not in document:
                continue  # builds that have ended are parsed each time
            with suppress(UnsupportedError):
                build = self.get(key)
                if build is not None and build.spec.component == component:
                    found.append(build)
        return found

    def pods(self, key: Key) -> tuple[SeenPod, ...]:
        """The pods of a ComponentBuild, also of an earlier one with its name."""
        return tuple(self._pods.get(key, {}).values())

    def owns(self, namespace: str) -> bool:
        """Whether this operator works for a namespace."""
        return self._shard.owns(namespace) and (not self.namespaces or namespace in self.namespaces)

    def is_ours(self, build: ComponentBuild) -> bool:
        """Whether this operator, and not another one of the cluster, executes a build."""
        return build.metadata.labels.get(names.OPERATOR_LABEL) == self._operator

    async def create(self, build: ComponentBuild) -> ComponentBuild:
        """Create a ComponentBuild, or find the present one of its name, which another caller has created.

        Args:
            build: its namespace, name, labels, annotations and spec are used.

        Raises:
            KubeError: the API server refused or is unavailable.
        """
        metadata = build.metadata
        body = {
            "apiVersion": BUILDS.api_version,
            "kind": BUILDS.kind,
            "metadata": {
                "name": metadata.name,
                "namespace": metadata.namespace,
                "labels": self._labels(build),
                "annotations": metadata.annotations,
            },
            "spec": build.spec.to_dict(),
        }
        for _ in range(_MOST_TRIES):
            try:
                return self.answered(await self._kube.create(BUILDS, metadata.namespace, body))
            except AlreadyExistsError:
                present = await self.read(Key(metadata.namespace, metadata.name))
            if present is not None:
                return present
        raise UnavailableError(f"ComponentBuild {metadata.namespace}/{metadata.name} is deleted again and again")

    async def replace(self, build: ComponentBuild, ended: ComponentBuild) -> ComponentBuild:
        """Create a ComponentBuild anew if the present one of its name is still the one that has ended.

        Returns:
            The new one; or the present one, which another caller has created meanwhile.

        Raises:
            KubeError: the API server refused or is unavailable.
        """
        key = Key(build.metadata.namespace, build.metadata.name)
        present = await self.read(key)
        if present is not None:
            if present.metadata.uid != ended.metadata.uid or not has_ended(present.status):
                return present
            await self.delete(present)
        return await self.create(build)

    async def delete(self, build: ComponentBuild) -> None:
        """Delete exactly this version of a ComponentBuild. One that is gone, or was changed, is no error.

        Raises:
            KubeError: the API server refused or is unavailable.
        """
        metadata = build.metadata
        key = Key(metadata.namespace, metadata.name)
        try:
            await self._kube.delete(BUILDS, *key, metadata.uid, version=metadata.resource_version)
        except (NotFoundError, ConflictError):
            return
        self.lost_build(key, metadata.uid)

    async def read(self, key: Key) -> ComponentBuild | None:
        """The ComponentBuild as the API server has it now; None if there is none.

        Raises:
            UnsupportedError: this release can't read it.
            KubeError: the API server refused or is unavailable.
        """
        uid = self._builds.uid(key)
        try:
            raw = await self._kube.get(BUILDS, *key)
        except NotFoundError:
            self.lost_build(key, uid)
            return None
        return self.answered(raw)

    def answered(self, raw: Mapping[str, Any]) -> ComponentBuild:
        """Store a ComponentBuild that the API server sent in answer to a request, and return it.

        Raises:
            UnsupportedError: this release can't read it.
        """
        self.saw_build(raw)
        try:
            return ComponentBuild.model_validate(raw)
        except ValidationError as error:
            problem = f"ComponentBuild {Key.of(raw)} can't be read: {what_is_wrong(error)}"
            raise UnsupportedError(problem) from error

    def saw_build(self, raw: Mapping[str, Any]) -> None:
        """Store a ComponentBuild, unless a newer version is known."""
        if self.owns(raw["metadata"].get("namespace", "")):
            self._builds.seen(raw)

    def lost_build(self, key: Key, uid: str) -> None:
        """Remove a ComponentBuild that was deleted."""
        self._builds.gone(key, uid)

    def saw_pod(self, raw: Mapping[str, Any]) -> None:
        """Store a pod. Each event is told, because what has changed is read from the API server."""
        key = build_of_pod(raw)
        if not self.owns(key.namespace):
            return
        metadata = raw["metadata"]
        self._pods.setdefault(key, {})[metadata["uid"]] = SeenPod(
            metadata["name"],
            metadata["uid"],
            metadata["labels"].get(names.BUILD_UID_LABEL, ""),
            is_ending=metadata.get("deletionTimestamp") is not None,
        )
        self._tell(key)

    def lost_pod(self, key: Key, uid: str) -> None:
        """Remove a pod that was deleted."""
        pods = self._pods.get(key, {})
        if pods.pop(uid, None) is None:
            return
        if not pods:
            del self._pods[key]
        self._tell(key)

    def vanished_builds(self, uids: AbstractSet[str], errors: EventErrors) -> None:
        """Remove ComponentBuilds that a listing lacks."""
        for key in self._builds.all_keys():
            uid = self._builds.uid(key)
            if uid in uids:
                with errors.of(uid, str(key)):
                    self.lost_build(key, uid)

    def vanished_pods(self, uids: AbstractSet[str], errors: EventErrors) -> None:
        """Remove pods that a listing lacks."""
        for key, pods in list(self._pods.items()):
            for uid in uids & pods.keys():
                with errors.of(uid, str(key)):
                    self.lost_pod(key, uid)

    def _labels(self, build: ComponentBuild) -> dict[str, str]:
        own = {names.OPERATOR_LABEL: self._operator} if self._operator else {}
        return {**build.metadata.labels, **own}

    def _tell(self, key: Key) -> None:
        if self._builds.document(key) is None:
            self._parsed.pop(key, None)
        for listener in self._listeners:
            listener(key)


def make_build_watches(kube: Kube, seen: BuildsSeen, metrics: Metrics, pods_namespace: str) -> list[Watch]:
    """Watches of the ComponentBuilds, for each watched namespace or for all, and of the pods of builds."""
    scopes: tuple[str | None, ...] = seen.namespaces or (None,)
    builds = CountedTarget(
        BUILDS, metrics, key_of=Key.of, saw=seen.saw_build, lost=seen.lost_build, vanished=seen.vanished_builds
    )
    pods = CountedTarget(
        PODS, metrics, key_of=build_of_pod, saw=seen.saw_pod, lost=seen.lost_pod, vanished=seen.vanished_pods
    )
    return [
        *(Watch(kube, BUILDS, namespace, "", builds, metrics) for namespace in scopes),
        Watch(kube, PODS, pods_namespace, names.PODS_OF_BUILDS, pods, metrics),
    ]
