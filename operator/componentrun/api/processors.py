"""Processors: Components that change the data folder before or after the component of a run."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from componentrun.api.channels import ChannelName, ImageResolution
from componentrun.api.common import ApiModel, LocalName, StatusModel

__all__ = ["MOST_PROCESSORS", "Position", "ProcessorSettings", "ProcessorStep", "Processors", "StepStatus"]

MOST_PROCESSORS: Final = 10
"""Maximum number of processors of a run, before and after its component together."""

Position = Literal["before", "after"]


class ProcessorStep(ApiModel):
    """One processor, and what it is to do."""

    component: LocalName
    """Component to run. Its `type` must be `processor`."""
    tag: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] | None = None
    """Tag of its image. Defaults to the Component's `tag`. If the Component has channels, the tag must be that of a
    channel, or a version in the range of one."""
    channel: ChannelName | None = None
    """Channel of the Component. Defaults to the Component's `defaultChannel`. At most one of `channel` and `tag` may be
    set."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """A JSON object, which the processor reads as `parameters` in config.json."""


class Processors(ApiModel):
    """Processors, one container after another over the same data folder: at most 10 together."""

    before: Annotated[tuple[ProcessorStep, ...], Field(max_length=MOST_PROCESSORS)] = ()
    """Processors that run, in this order, before the component. They change what it reads."""
    after: Annotated[tuple[ProcessorStep, ...], Field(max_length=MOST_PROCESSORS)] = ()
    """Processors that run, in this order, after the component. They change what is published."""


class ProcessorSettings(ApiModel):
    """Settings of a Component of type `processor`."""

    positions: Annotated[tuple[Position, ...], Field(min_length=1, max_length=2)] = ("before", "after")
    """Whether it may run before the component, after it, or both. Defaults to both."""


class StepStatus(StatusModel):
    """One step of a run with processors."""

    name: str
    """Name of its container: `before-1`, `component`, `after-1`. It is also the source of its events."""
    component: str
    """Name of the Component."""
    image: str
    """Image of the step."""
    image_digest: str | None = Field(None, alias="imageID")
    """Digest of the image that the node ran."""
    image_resolution: ImageResolution | None = None
    """How the digest in `image` was found. Set only if the Component has channels."""
    start_time: datetime | None = None
    """When it started. Not set if it has not."""
    completion_time: datetime | None = None
    """When it ended. Not set if it has not."""
    exit_code: int | None = None
    """Its exit code. Not set if it has not ended."""
