"""The status of a Component: what the operator found out about it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from componentrun.api.channels import MOST_CHANNELS, ChannelStatus
from componentrun.api.common import Condition, StatusModel

__all__ = ["ComponentStatus"]


class ComponentStatus(StatusModel):
    """Observed state of the component."""

    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()
    """`TagMoved`: a pinned tag points to another digest now; only if one does."""
    channels: Annotated[tuple[ChannelStatus, ...], Field(max_length=2 * MOST_CHANNELS)] = ()
    """Digests of `spec.channels`, by name of the channel."""
