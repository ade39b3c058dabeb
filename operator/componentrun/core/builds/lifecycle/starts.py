"""Requests to build the image of a channel without a run (`componentrun build start`). Pure.

A request is an annotation of the Component: whoever may change the Component decides what is built, and nobody but the
operator may create ComponentBuilds. The answer is in the status of the channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.api.channels import BuildStart
from componentrun.api.componentrun import RunBuild
from componentrun.api.names import START_BUILD_PREFIX
from componentrun.core.images.channels import DEFAULT_CHANNEL, status_of_channel

if TYPE_CHECKING:
    from componentrun.api.channels import ChannelStatus
    from componentrun.api.component import Component
    from componentrun.errors import ComponentRunError

__all__ = ["MARK", "awaited_build", "failed_start", "open_requests", "start_of", "with_start"]

MARK: Final = START_BUILD_PREFIX.encode()
"""Part of the document of each Component with requests."""
_MOST_MESSAGE: Final = 8_000


def start_of(component: Component, channel: str) -> BuildStart | None:
    """What the status says about the last request for a channel."""
    return status_of_channel(component.status.channels, channel).build_start


def open_requests(component: Component) -> dict[str, BuildStart]:
    """The requests without a final answer, as the status describes them so far, by channel."""
    found = {}
    for channel in component.spec.channels:
        request = component.metadata.annotations.get(START_BUILD_PREFIX + channel.name)
        if not request:
            continue
        present = start_of(component, channel.name)
        if present is None or present.request != request:
            found[channel.name] = BuildStart(request=request)
        elif present.image is None and present.reason is None:
            found[channel.name] = present
    return found


def awaited_build(component: str, channel: str, start: BuildStart, build_hash: str | None) -> RunBuild | None:
    """The build that a request waits for; None if there is none, or the channel's `build` has changed since."""
    if start.build is None or start.build_hash != build_hash:
        return None
    return RunBuild(name=start.build, component=component, channel=channel, build_hash=build_hash)


def failed_start(start: BuildStart, error: ComponentRunError) -> BuildStart:
    """The final answer to a request that has failed."""
    return start.model_copy(update={"reason": error.reason.value, "message": error.message[:_MOST_MESSAGE]})


def with_start(component: Component, channel: str, start: BuildStart) -> tuple[ChannelStatus, ...]:
    """The channels of the Component's status with an answer. The default channel comes first, as everywhere."""
    statuses = {status.name: status for status in component.status.channels}
    statuses[channel] = status_of_channel(component.status.channels, channel).model_copy(update={"build_start": start})
    default = component.spec.default_channel or DEFAULT_CHANNEL
    order = sorted((item.name for item in component.spec.channels), key=lambda name: name != default)
    return tuple(statuses[name] for name in order if name in statuses)
