"""Finds the Component and the Storage of a run in the caches.

A run may be created together with both, and its event may arrive first. Then the API server is asked, before the run's
turn is decided, because the decision depends on both: groups, policies, the maximum number of runs with a pod.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from componentrun.api.component import ClusterComponent, Component, ComponentSpec
from componentrun.api.storage import Storage, StorageSpec
from componentrun.api.unreadable import unknown_fields, what_is_wrong
from componentrun.controller.storages.identity import StoreId
from componentrun.controller.storages.sharedreads import SharedReads
from componentrun.controller.watching.caches import Key
from componentrun.core.lease.clock import TOLERATED
from componentrun.core.request.platformkeys import check_secret_names, check_secrets
from componentrun.errors import UnsupportedError, UserError
from componentrun.process.kubernetes.errors import ForbiddenError, NotFoundError
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, STORAGES
from componentrun.storage.store.resource import Unreadable, UnreadableStorageError, choose, name_of, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pydantic import BaseModel

    from componentrun.api.componentrun import ComponentRun
    from componentrun.controller.watching.caches import Caches
    from componentrun.process.kubernetes.client import Kube

__all__ = ["References", "new_enough_for"]

_KEPT: Final = 256
"""Number of parsed objects of each kind to keep, because each run needs both, some twice."""
_LARGEST_KEPT: Final = 16 * 2**10
"""Maximum bytes of a Component that is kept parsed. Parsed, it takes up to 25 times as much memory, and a namespace may
have many large ones. Parsing one of 1 MiB takes 30 ms."""


_SURELY_CREATED: Final = timedelta(seconds=1 + TOLERATED)
"""A run was certainly created this long after its creation timestamp, which is rounded down to whole seconds, even if
this machine's clock is ahead of the API server's by a difference that is not corrected."""


def new_enough_for(run: ComponentRun) -> datetime | None:
    """Time from which on a read of the run's Component and Storages is new enough; None: only one that begins now.

    A run that was suspended may be released right after a change of what it refers to. Its phases need not say that it
    was suspended, if no operator worked meanwhile; but its spec has been changed.
    """
    created, was_edited = run.metadata.creation_timestamp, run.metadata.generation > 1
    return None if created is None or was_edited else created + _SURELY_CREATED


class References:
    """Finds Components and Storages."""

    def __init__(self, kube: Kube, caches: Caches) -> None:
        """Send no request yet."""
        self._kube = kube
        self._caches = caches
        self._component_reads: SharedReads[None] = SharedReads(self._now)
        self._storage_reads: SharedReads[frozenset[str]] = SharedReads(self._now)

    def _now(self) -> datetime:
        return self._kube.clock.now()

    async def look_up(self, run: ComponentRun) -> bool:
        """Load the Component and the Storage of the run into the caches, if they exist.

        Returns:
            Whether a request was sent, so that the run may have changed meanwhile.

        Raises:
            KubeError: the API server does not respond.
        """
        namespace = run.metadata.namespace
        if self._knows(namespace, run.spec.component, run.spec.storage):
            return False
        with suppress(
            UserError, UnsupportedError, ForbiddenError
        ):  # the start of the run reports these errors in its status
            await self.component(namespace, run.spec.component)
            await self.storage(namespace, run.spec.storage)
        return True

    async def component(
        self, namespace: str, name: str | None, *, anew: bool = False, as_of: datetime | None = None
    ) -> Component | None:
        """The Component of this name, or the ClusterComponent; None if there is neither, or the name is None.

        Args:
            namespace: namespace of the run.
            name: name of the Component.
            anew: read it even if it is cached, because it may have changed right before the run was created, and the
                event may not have arrived yet.
            as_of: a read of the last second that began after this time is new enough; see `SharedReads`.

        Raises:
            UnsupportedError: it has values that this release does not support.
            KubeError: the API server refused or is unavailable.
        """
        if name is None:
            return None
        for key in self._keys(namespace, name):
            if anew or self._document(key) is None:
                await self._component_reads.read(key, partial(self._read_component, key), as_of)
            document = self._document(key)
            if document is not None:
                return _component(document)
        if as_of is not None:
            return await self.component(namespace, name, anew=True)  # it may be newer than the read that was shared
        return None

    async def _read_component(self, key: Key) -> None:
        components = self._caches.components_of(key.namespace)
        uid = components.uid(key)  # another Component of this name may be created, and seen, before the answer arrives
        try:
            found = await (
                self._kube.get(COMPONENTS, *key)
                if key.namespace
                else self._kube.get(CLUSTER_COMPONENTS, None, key.name)
            )
        except NotFoundError:
            components.gone(key, uid)
        else:
            components.seen(found)

    def cached_component(self, key: Key) -> Component | None:
        """The Component of a namespace, or the ClusterComponent if the namespace is empty, as it is cached.

        Raises:
            UnsupportedError: it has values that this release does not support.
        """
        document = self._document(key)
        return None if document is None else _component(document)

    def has_component(self, namespace: str, name: str) -> bool:
        """Whether a run of this namespace can name this component, according to the caches."""
        return any(self._document(key) is not None for key in self._keys(namespace, name))

    async def exists(self, namespace: str, name: str) -> bool:
        """Whether a run of this namespace can name this component. Reads it if it is not cached.

        Raises:
            KubeError: the API server refused or is unavailable.
        """
        try:
            return await self.component(namespace, name) is not None
        except UnsupportedError:
            return True

    def _keys(self, namespace: str, name: str) -> tuple[Key, ...]:
        """Keys of the Component and of the ClusterComponent of this name; the first one that exists counts."""
        own = Key(namespace, name)
        return (own, Key("", name)) if self._caches.uses_cluster_components else (own,)

    def _document(self, key: Key) -> bytes | None:
        return self._caches.components_of(key.namespace).document(key)

    def check(self, run: ComponentRun) -> None:
        """Refuse a run whose cached Component or Storage has values that this release does not support.

        Raises:
            UnsupportedError: the message names the object and the field.
        """
        namespace, name = run.metadata.namespace, run.spec.component or ""
        document = next(filter(None, map(self._document, self._keys(namespace, name))), None)
        if document is not None:
            _component(document)
        with suppress(UserError):  # the start of the run reports it
            _choose(self._storages(run.metadata.namespace), run.spec.storage, run.metadata.namespace)

    async def storage(
        self, namespace: str, wanted: str | None, *, anew: bool = False, as_of: datetime | None = None
    ) -> Storage:
        """The Storage of this name, or the namespace's default one.

        Args:
            namespace: namespace of the run.
            wanted: name of the Storage; None: the default one.
            anew: read it even if it is cached, see `component`.
            as_of: likewise.

        Raises:
            UserError: the Storage does not exist.
            UnsupportedError: the Storage, or a candidate for the default, has unsupported values.
            KubeError: the API server refused or is unavailable.
        """
        if not anew:
            with suppress(UserError, UnsupportedError):
                return _choose(self._storages(namespace), wanted, namespace)
        there = await self._storage_reads.read(namespace, partial(self._read_storages, namespace), as_of)
        try:
            # A deleted Storage may still be cached.
            return _choose([item for item in self._storages(namespace) if name_of(item) in there], wanted, namespace)
        except UserError:
            if as_of is None:
                raise
        return await self.storage(namespace, wanted, anew=True)  # it may be newer than the read that was shared

    async def _read_storages(self, namespace: str) -> frozenset[str]:
        """Read the Storages of a namespace into the cache. Returns their names."""
        there = set()
        async for page in self._kube.pages(STORAGES, namespace):
            for raw in page.items:
                self._caches.storages.seen(raw)
                there.add(raw["metadata"]["name"])
        return frozenset(there)

    def _knows(self, namespace: str, component: str | None, storage: str | None) -> bool:
        if component is not None and not self.has_component(namespace, component):
            return False
        try:
            _choose(self._storages(namespace), storage, namespace)
        except (UserError, UnsupportedError):
            return False
        return True

    def store_id(self, namespace: str, wanted: str | None) -> StoreId:
        """The id of the Storage of this name, or of the namespace's default one, according to the cache."""
        try:
            storage = choose(self._storages(namespace), wanted, namespace)
        except UserError:
            return StoreId(namespace, wanted or "")
        return StoreId.of(storage)

    def check_keys(self, run: ComponentRun, component: Component | None) -> None:
        """Refuse parameters from a Secret that a Storage of the namespace uses for itself.

        Args:
            run: the run.
            component: its Component, whose image parameters are checked as well.

        Raises:
            UserError: (InvalidSpec) the message names the Secret and the Storage.
            UnsupportedError: a Storage has unsupported values, so it may use any Secret.
        """
        if run.spec.configuration.secrets or (component and component.spec.image_parameter_secrets):
            check_secrets(run.spec, component, self._readable_storages(run.metadata.namespace))

    async def check_secret_names(self, namespace: str, named: Mapping[str, str]) -> None:
        """Refuse Secrets that a Storage of the namespace uses for itself, according to a fresh look.

        Args:
            namespace: namespace of the Secrets.
            named: their names, by the fields that name them.

        Raises:
            UserError: (InvalidSpec) the message names the field, the Secret and the Storage.
            UnsupportedError: a Storage has unsupported values, so it may use any Secret.
            KubeError: the API server refused or is unavailable.
        """
        await self._storage_reads.read(namespace, partial(self._read_storages, namespace), as_of=None)
        check_secret_names(named, self._readable_storages(namespace))

    def _readable_storages(self, namespace: str) -> list[Storage]:
        """The Storages that are cached.

        Raises:
            UnsupportedError: one of them has unsupported values.
        """
        storages = []
        for storage in self._storages(namespace):
            if isinstance(storage, Unreadable):
                raise UnsupportedError(storage.error().message)
            storages.append(storage)
        return storages

    def _storages(self, namespace: str) -> list[Storage | Unreadable]:
        return [_storage(document) for document in self._caches.storages.of_namespace(namespace)]


def _choose(storages: Iterable[Storage | Unreadable], wanted: str | None, namespace: str) -> Storage:
    """The Storage of the run, see `choose`. An unreadable one was written by another release, so it is unsupported."""
    try:
        return choose(storages, wanted, namespace)
    except UnreadableStorageError as error:
        raise UnsupportedError(error.message) from error


def _component(document: bytes) -> Component:
    """The Component in a document.

    Raises:
        UnsupportedError: it has values that this release does not support.
    """
    return _kept_component(document) if len(document) <= _LARGEST_KEPT else _parsed_component(document)


@lru_cache(_KEPT)
def _kept_component(document: bytes) -> Component:
    return _parsed_component(document)


def _parsed_component(document: bytes) -> Component:
    raw = json.loads(document)
    problem = ""
    try:
        kind = Component if raw["metadata"].get("namespace") else ClusterComponent
        component = kind.model_validate(raw)
    except ValidationError as error:
        problem = what_is_wrong(error)
    else:
        problem = _unknown(ComponentSpec, raw)
    if problem:
        name = raw["metadata"]["name"]
        raise UnsupportedError(f"{kind.KIND} `{name}` can't be read by this release of the operator: {problem}")
    return component


@lru_cache(_KEPT)
def _storage(document: bytes) -> Storage | Unreadable:
    raw = json.loads(document)
    storage = parse(raw)
    problem = _unknown(StorageSpec, raw) if isinstance(storage, Storage) else ""
    return Unreadable(storage.metadata.name, problem) if isinstance(storage, Storage) and problem else storage


def _unknown(spec: type[BaseModel], raw: Mapping[str, Any]) -> str:
    fields = unknown_fields(spec, raw.get("spec") or {})
    return f"{', '.join(fields)}: unknown to this release" if fields else ""
