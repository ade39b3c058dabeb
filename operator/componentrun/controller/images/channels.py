"""Reads and writes the channels in the status of a Component.

A write carries the resourceVersion that it is based on. If the Component has changed, the caller decides again: another
run may have resolved the same channel meanwhile, and a pinned digest is never replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.errors import Reason, TransientError
from componentrun.process.kubernetes.components import patch_status
from componentrun.process.kubernetes.errors import ConflictError, NotFoundError
from componentrun.process.kubernetes.resources import component_resource

if TYPE_CHECKING:
    from componentrun.api.channels import ChannelStatus
    from componentrun.api.component import Component
    from componentrun.controller.watching.caches import Caches
    from componentrun.process.kubernetes.client import Kube

__all__ = ["ChannelWriter"]


class ChannelWriter:
    """Writes the channels of Components."""

    def __init__(self, kube: Kube, caches: Caches) -> None:
        """Answers of writes go into the cache of Components."""
        self._kube = kube
        self._caches = caches

    async def write(self, component: Component, channels: tuple[ChannelStatus, ...]) -> Component | None:
        """Write the channels.

        Args:
            component: the Component that they are based on.
            channels: all channels.

        Returns:
            None after the write; if the Component has changed meanwhile, its present version, and nothing was written.

        Raises:
            TransientError: the Component was deleted, or the API server does not respond.
            KubeError: the API server refused.
        """
        fields = {"channels": [channel.to_dict() for channel in channels]}
        try:
            answer = await patch_status(self._kube, component, fields)
        except ConflictError:
            return await self._read(component)
        except NotFoundError as error:
            raise TransientError(
                f"the status of {component.KIND} `{component.metadata.name}` can't be written: it was deleted just "
                "now, or its CustomResourceDefinition has no status",
                Reason.COMPONENT_NOT_FOUND,
                advice="If it exists, install the CustomResourceDefinitions of this release.",
            ) from error
        self._caches.components_of(component.metadata.namespace).seen(answer)
        return None

    async def _read(self, component: Component) -> Component:
        try:
            resource = component_resource(component.KIND)
            raw = await self._kube.get(resource, component.metadata.namespace or None, component.metadata.name)
        except NotFoundError as error:
            raise TransientError(
                f"{component.KIND} `{component.metadata.name}` was deleted just now", Reason.COMPONENT_NOT_FOUND
            ) from error
        self._caches.components_of(component.metadata.namespace).seen(raw)
        present = type(component).model_validate(raw)
        if present.metadata.uid != component.metadata.uid or present.spec != component.spec:
            # The run decides anew, from the beginning.
            raise TransientError(f"{component.KIND} `{component.metadata.name}` was changed just now", Reason.QUEUED)
        return present
