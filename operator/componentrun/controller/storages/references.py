"""What a run refers to, its Component and its Storage, from the caches.

A run may be created together with both, and its event come first: whose is not known is asked for. That happens before
the run's turn is decided, as that depends on what they say: groups, policies, how many runs may have a pod.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from componentrun.api.component import Component, ComponentSpec
from componentrun.api.storage import Storage, StorageSpec
from componentrun.api.unreadable import unknown_fields, what_is_wrong
from componentrun.controller.storages.identity import StoreId
from componentrun.controller.watching.caches import Key
from componentrun.core.request.platformkeys import check_secrets
from componentrun.errors import UnsupportedError, UserError
from componentrun.process.kubernetes.errors import ForbiddenError, NotFoundError
from componentrun.process.kubernetes.resources import COMPONENTS, STORAGES
from componentrun.storage.store.resource import Unreadable, UnreadableStorageError, choose, name_of, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel

    from componentrun.api.componentrun import ComponentRun
    from componentrun.controller.watching.caches import Caches
    from componentrun.process.kubernetes.client import Kube

__all__ = ["References"]

_KEPT: Final = 256
"""So many of each kind are kept as they were read last: each run needs both, some of them twice."""


class References:
    """Finds Components and Storages."""

    def __init__(self, kube: Kube, caches: Caches) -> None:
        """Nothing is asked for yet."""
        self._kube = kube
        self._caches = caches

    async def look_up(self, run: ComponentRun) -> bool:
        """See to it that what the run refers to is in the caches, if it exists.

        Returns:
            Whether the API server had to be asked: meanwhile the run may have changed.

        Raises:
            KubeError: the API server is away.
        """
        namespace = run.metadata.namespace
        if self._knows(namespace, run.spec.component, run.spec.storage):
            return False
        with suppress(
            UserError, UnsupportedError, ForbiddenError
        ):  # the run's start meets them again, and says so in its status
            await self.component(namespace, run.spec.component)
            await self.storage(namespace, run.spec.storage)
        return True

    async def component(self, namespace: str, name: str | None, *, anew: bool = False) -> Component | None:
        """The Component of this name; None where there is none, or no name.

        Args:
            namespace: of the run.
            name: of the Component.
            anew: read it though it is known: it may have been changed right before the run was made, and a watch that
                tells of it be behind.

        Raises:
            UnsupportedError: it can't be read.
            KubeError: the API server refused or is away.
        """
        if name is None:
            return None
        key, known = Key(namespace, name), self._caches.components
        if anew or known.document(key) is None:
            try:
                known.seen(await self._kube.get(COMPONENTS, *key))
            except NotFoundError:
                known.drop(key)
                return None
        document = known.document(key)
        return None if document is None else _component(document)

    def check(self, run: ComponentRun) -> None:
        """Refuse a run whose cached Component or Storage has values that this release does not support.

        Raises:
            UnsupportedError: naming the object and the field.
        """
        document = self._caches.components.document(Key(run.metadata.namespace, run.spec.component or ""))
        if document is not None:
            _component(document)
        with suppress(UserError):  # the run's start meets it again
            _choose(self._storages(run.metadata.namespace), run.spec.storage, run.metadata.namespace)

    async def storage(self, namespace: str, wanted: str | None, *, anew: bool = False) -> Storage:
        """The Storage of this name, or the namespace's default one.

        Args:
            namespace: of the run.
            wanted: its name.
            anew: read it though it is known, as a Component is.

        Raises:
            UserError: there is none that fits.
            UnsupportedError: the one that fits, or may, can't be read.
            KubeError: the API server refused or is away.
        """
        if not anew:
            with suppress(UserError, UnsupportedError):
                return _choose(self._storages(namespace), wanted, namespace)
        there = set()
        async for page in self._kube.pages(STORAGES, namespace):
            for raw in page.items:
                self._caches.storages.seen(raw)
                there.add(raw["metadata"]["name"])
        # One that is gone may be known still.
        return _choose([item for item in self._storages(namespace) if name_of(item) in there], wanted, namespace)

    def _knows(self, namespace: str, component: str | None, storage: str | None) -> bool:
        if component is not None and self._caches.components.document(Key(namespace, component)) is None:
            return False
        try:
            _choose(self._storages(namespace), storage, namespace)
        except (UserError, UnsupportedError):
            return False
        return True

    def store_id(self, namespace: str, wanted: str | None) -> StoreId:
        """The Storage of this name, or the namespace's default one, as far as the cache knows it."""
        try:
            storage = choose(self._storages(namespace), wanted, namespace)
        except UserError:
            return StoreId(namespace, wanted or "")
        return StoreId.of(storage)

    def check_keys(self, run: ComponentRun) -> None:
        """Refuse parameters that are to come from a Secret that a Storage of the namespace uses itself.

        Raises:
            UserError: (InvalidSpec) naming the Secret and the Storage.
            UnsupportedError: a Storage can't be read, which may use any Secret.
        """
        known = self._storages(run.metadata.namespace)
        for storage in known if run.spec.configuration.secrets else ():
            if isinstance(storage, Unreadable):
                raise UnsupportedError(storage.error().message)
        check_secrets(run.spec, [storage for storage in known if not isinstance(storage, Unreadable)])

    def _storages(self, namespace: str) -> list[Storage | Unreadable]:
        return [_storage(document) for document in self._caches.storages.of_namespace(namespace)]


def _choose(storages: Iterable[Storage | Unreadable], wanted: str | None, namespace: str) -> Storage:
    """The Storage of the run, see `choose`. One that can't be read was written by another release."""
    try:
        return choose(storages, wanted, namespace)
    except UnreadableStorageError as error:
        raise UnsupportedError(error.message) from error


@lru_cache(_KEPT)
def _component(document: bytes) -> Component:
    raw = json.loads(document)
    problem = ""
    try:
        component = Component.model_validate(raw)
    except ValidationError as error:
        problem = what_is_wrong(error)
    else:
        problem = _unknown(ComponentSpec, raw)
    if problem:
        name = raw["metadata"]["name"]
        raise UnsupportedError(f"Component `{name}` can't be read by this release of the operator: {problem}")
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
