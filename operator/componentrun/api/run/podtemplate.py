"""Metadata and scheduling of a run's pod."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from componentrun.api.common import ApiModel, Labels, LocalName

__all__ = ["LocalObjectReference", "PodTemplate", "Toleration"]


class Toleration(ApiModel):
    """Toleration: a taint that the pod tolerates."""

    key: Annotated[str, Field(max_length=316)] | None = None
    """Taint key. Defaults to every key."""
    operator: Literal["Exists", "Equal"] | None = None
    """Operator that relates the key to the value. Defaults to `Equal`."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Taint value to match."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Taint effect to match. Defaults to every effect."""
    toleration_seconds: int | None = None
    """How long, in seconds, a NoExecute taint is tolerated. Defaults to no limit."""


class LocalObjectReference(ApiModel):
    """Reference to an object of the same namespace."""

    name: LocalName
    """Name of the object."""


class PodTemplate(ApiModel):
    """Metadata and scheduling of the run's pod. Security settings can't be changed here."""

    labels: Labels | None = None
    """Labels of the pod. Labels that ComponentRun sets take precedence."""
    annotations: Labels | None = None
    """Annotations of the pod."""
    node_selector: Labels | None = None
    """Labels that a node must have to run the pod."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] | None = None
    """Tolerations of the pod."""
    affinity: dict[str, Any] | None = None
    """Affinity of the pod, as in `spec.affinity` of a pod."""
    runtime_class_name: LocalName | None = None
    """RuntimeClass of the pod, e.g. for a sandboxed runtime."""
    image_pull_secrets: Annotated[tuple[LocalObjectReference, ...], Field(max_length=8)] | None = None
    """Secrets with credentials for registries of images. They are tried first; those of the Component, of the Storage
    and of the agents' image are used in addition."""
