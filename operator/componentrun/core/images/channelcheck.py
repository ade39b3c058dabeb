"""Mistakes in the channels of a Component. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from componentrun.api.componentrun import ComponentRunSpec
from componentrun.core.images.channels import choose_image, required_key
from componentrun.core.images.reference import parse_repository
from componentrun.errors import UserError

if TYPE_CHECKING:
    from componentrun.api.component import Component

__all__ = ["channel_problems"]


def channel_problems(component: Component) -> tuple[str, ...]:
    """Why runs of some channels, or of the default one, would be refused. Each a sentence without its full stop.

    Empty if the image's name or `verify` is invalid: the channels are not to blame.
    """
    channels, name = component.spec.channels, component.metadata.name
    if not channels:
        return ()
    try:
        parse_repository(component.spec.image, "spec.image")
        required_key(component)
    except UserError:
        return ()
    count = Counter(channel.name for channel in channels)
    found = [f"Component `{name}`: spec.channels: found `{item}` {n} times" for item, n in count.items() if n > 1]
    for wanted in (None, *count):
        try:
            choose_image(ComponentRunSpec(component=name, channel=wanted), component)
        except UserError as error:
            found.append(error.summary)
    return tuple(dict.fromkeys(found))
