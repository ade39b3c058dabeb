"""Looks up the tags of pinned channels in the background, so that people learn of tags that have moved.

Runs are not affected. The checks of all Components are spread over the interval, one after another. A registry that
does not respond, or refuses more requests, is not asked again before the next round.
"""

from __future__ import annotations

import asyncio
import logging
from random import Random
from typing import TYPE_CHECKING, Final

from componentrun.controller.images.channels import ChannelWriter
from componentrun.controller.images.logins import read_logins, secrets_without_run
from componentrun.core.images.allowed import check_allowed
from componentrun.core.images.moved import PinnedTag, pinned_tags, with_tag_digests
from componentrun.errors import ComponentRunError, UnsupportedError
from componentrun.registry import errors
from componentrun.registry.errors import ImageError, Problem, RegistryAwayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.api.component import Component
    from componentrun.controller.images.resolving import ImageSettings
    from componentrun.controller.storages.references import References
    from componentrun.controller.watching.caches import Caches, Key
    from componentrun.process.kubernetes.client import Kube
    from componentrun.registry.client import RegistryClient

__all__ = ["TagChecks"]

_log = logging.getLogger(__name__)

_LEAST_PAUSE: Final = 0.05
_IDLE_SECONDS: Final = 60.0
"""How often to look for Components with pinned tags if there are none."""
_LONGEST_CHECK: Final = 60.0
"""Seconds for all tags of a Component, so that one slow registry does not delay the others."""
_MOST_WRITES: Final = 3
_HAS_CHANNELS: Final = b'"channels":[{'
"""Part of the document of each Component that has any."""


Away = tuple[str, str]
"""Namespace and host of a registry that did not respond."""


class TagChecks:
    """Checks the pinned tags of all Components, again and again."""

    def __init__(
        self,
        kube: Kube,
        caches: Caches,
        references: References,
        client: RegistryClient,
        settings: ImageSettings,
        look: Callable[[Key], None],
    ) -> None:
        """Check nothing before `activate`. `look` is called with each Component whose tags have moved or are back."""
        self._kube = kube
        self._caches = caches
        self._references = references
        self._client = client
        self._settings = settings
        self._look = look
        self._writer = ChannelWriter(kube, caches)
        self._is_active = False
        self._random = Random()  # noqa: S311 - spreads requests, protects nothing

    def activate(self, active: bool) -> None:  # noqa: FBT001 - a state, not a switch
        """Start or stop checking. Only the operator that holds the Lease checks tags."""
        self._is_active = active

    async def run(self, interval: float) -> None:
        """Check each Component about once per interval, in seconds, until cancelled. 0: check nothing."""
        while interval:
            keys, away = self._keys(), set[Away]()
            if not keys:
                await self._pause(min(interval, _IDLE_SECONDS))
            for key in keys:
                await self._pause(max(interval / len(keys), _LEAST_PAUSE))
                await self._try(key, away)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self._random.uniform(0.5, 1.5))

    def _keys(self) -> list[Key]:
        """Components that may have pinned tags. Most do not, and parsing all of them would take too long."""
        if not self._is_active:
            return []
        shared = self._caches.cluster_components.all_keys() if self._caches.shard.is_first else []
        keys = (*shared, *self._caches.components.all_keys())
        return [
            key for key in keys if _HAS_CHANNELS in (self._caches.components_of(key.namespace).document(key) or b"")
        ]

    def _component(self, key: Key) -> Component | None:
        """The Component; None if it was deleted, or has values that this release does not support."""
        try:
            return self._references.cached_component(key)
        except UnsupportedError:
            return None  # the check of Components reports it

    async def _try(self, key: Key, away: set[Away]) -> None:
        try:
            await self.check(key, away)
        except ComponentRunError as error:
            _log.info("component %s: its tags could not be checked: %s", key, error.message)
        except Exception:  # noqa: BLE001 - a defect that shows in one Component must not stop the checks of the others
            _log.exception("component %s: its tags could not be checked", key)

    async def check(self, key: Key, away: set[Away]) -> None:
        """Look up the pinned tags of a Component, if it has any, and write its status if one has moved or is back.

        Args:
            key: namespace, empty for a ClusterComponent, and name.
            away: registries not to ask; one that does not respond is added.

        Raises:
            ComponentRunError: the registry or the API server refused or did not respond; nothing was written.
        """
        component = self._component(key) if self._is_active else None
        pinned = pinned_tags(component) if component is not None else ()
        if component is None or not pinned:
            return
        host = pinned[0].repository.host
        # Another tenant may have other credentials, and a limit of its own.
        registry = (key.namespace, host)
        if registry in away:
            return
        try:
            async with asyncio.timeout(_LONGEST_CHECK):
                digests = await self._ask(component, pinned)
        except (RegistryAwayError, TimeoutError) as error:
            away.add(registry)
            if isinstance(error, TimeoutError):
                raise errors.away(host, f"looking up its tags took longer than {_LONGEST_CHECK:.0f} s") from error
            raise
        await self._write(key, component, digests)

    async def _ask(self, component: Component, pinned: tuple[PinnedTag, ...]) -> dict[str, str]:
        """The present digest of each tag that can be looked up. All are in the same repository."""
        repository = pinned[0].repository
        check_allowed(repository, self._settings.allowed)
        namespace = component.metadata.namespace
        # A ClusterComponent is of no namespace, so there are no Secrets to read for it.
        names = await secrets_without_run(self._references, component) if namespace else ()
        logins = await read_logins(self._kube, namespace, names, repository)
        digests = {}
        for tag in dict.fromkeys(item.tag for item in pinned):
            try:
                digests[tag] = await self._client.digest(repository, tag, logins.usable, logins.known)
            except ImageError as error:
                if error.problem is not Problem.NO_SUCH_TAG:
                    raise
                # It was deleted, and the others can be looked up.
                _log.info("%s %s: tag %s: %s", component.KIND, component.metadata.name, tag, error.message)
        return digests

    async def _write(self, key: Key, component: Component, digests: dict[str, str]) -> None:
        for _ in range(_MOST_WRITES):
            channels = with_tag_digests(component, digests)
            if channels == component.status.channels:
                return
            present = await self._writer.write(component, channels)
            if present is None:
                self._look(key)
                return
            component = present
