"""The status of a Component: what the operator found out about it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from componentrun.api.channels import MOST_CHANNELS, ChannelStatus
from componentrun.api.common import Condition, StatusModel

__all__ = ["ComponentStatus"]


class ComponentStatus(StatusModel):
    """Observed state of the component."""

    observed_generation: int | None = None
    """The `metadata.generation` that this status describes."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()
    """`Ready`: runs can use the component. `ConfigurationValid`: `spec.configuration` has usable schemas, and a default
    that matches them; only if `spec.configuration` is set. `Deprecated`: only if it is. `TagMoved`: only if the tag of
    a pinned channel points to another digest now. `PrePulled`: all selected nodes have the images of the channels with
    `prePull`; only if a channel sets it."""
    channels: Annotated[tuple[ChannelStatus, ...], Field(max_length=2 * MOST_CHANNELS)] = ()
    """Digests of `spec.channels`, with one item for each channel that was resolved or is brought to nodes."""
