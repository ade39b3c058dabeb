"""Writes the status of Components and ClusterComponents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.process.kubernetes.resources import component_resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.api.component import Component
    from componentrun.process.kubernetes.client import Kube

__all__ = ["patch_status"]


async def patch_status(kube: Kube, component: Component, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Replace fields of the status, which follow from this version of the Component. Returns its new version.

    Raises:
        ConflictError: the Component has another version.
        NotFoundError: it was deleted, or its CustomResourceDefinition has no status.
        KubeError: the API server refused or is unavailable.
    """
    metadata = component.metadata
    body = {"metadata": {"resourceVersion": metadata.resource_version}, "status": dict(fields)}
    return await kube.patch(component_resource(component.KIND), metadata.namespace, metadata.name, body, "status")
