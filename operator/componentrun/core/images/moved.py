"""Tags of pinned channels that point to another digest now. Runs keep the pinned one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from componentrun.api.componentrun import ComponentRunSpec
from componentrun.core.images.channels import ImageChoice, choose_image, status_of_channel, unverified_digest
from componentrun.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.api.channels import ChannelStatus
    from componentrun.api.component import Component
    from componentrun.core.images.reference import Repository

__all__ = ["PinnedTag", "moved_message", "pinned_tags", "with_tag_digests"]

_ANY_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""A pinned digest does not depend on the time."""


@dataclass(frozen=True, slots=True)
class PinnedTag:
    """The tag of a pinned channel, and the digest that its runs use."""

    channel: str
    repository: Repository
    tag: str
    digest: str


def pinned_tags(component: Component) -> tuple[PinnedTag, ...]:
    """The tags that channels of a Component are pinned to, and that runs have resolved.

    Ranges of versions are not among them: a new version is no tag that has moved.
    """
    found = []
    for channel in component.spec.channels:
        choice = _choice(component, channel.name)
        if choice is None or choice.tag is None or choice.follow != "Pinned":
            continue
        # Also if the key has changed since: the tag has still moved.
        kept = unverified_digest(choice, component.status.channels, _ANY_TIME)
        status = status_of_channel(component.status.channels, channel.name)
        if kept is not None and (kept.digest, kept.tag) == (status.digest, status.tag):
            found.append(PinnedTag(channel.name, choice.repository, choice.tag, kept.digest))
    return tuple(found)


def with_tag_digests(component: Component, digests: Mapping[str, str]) -> tuple[ChannelStatus, ...]:
    """The channels of the status after tags were looked up. Equal to the old ones if nothing is new.

    Args:
        component: the Component.
        digests: the present digest of each pinned tag that could be looked up.
    """
    pinned = {item.channel: item for item in pinned_tags(component)}
    result = []
    for status in component.status.channels:
        item = pinned.get(status.name)
        moved_to = None
        if item is not None:
            # A tag that could not be looked up stays as it was.
            present = digests.get(item.tag, status.moved_to)
            moved_to = present if present != item.digest else None
        result.append(status.model_copy(update={"moved_to": moved_to}))
    return tuple(result)


def moved_message(component: Component) -> str | None:
    """What the condition TagMoved says; None if no tag has moved."""
    parts = [
        f"channel `{item.channel}`: tag `{item.tag}` now points to `{moved_to}`; runs use `{item.digest}`, as resolved "
        "before"
        for item in pinned_tags(component)
        if (moved_to := status_of_channel(component.status.channels, item.channel).moved_to) is not None
    ]
    return f"{'. '.join(parts)}." if parts else None


def _choice(component: Component, channel: str) -> ImageChoice | None:
    """What runs of a channel use; None if they would be refused."""
    try:
        return choose_image(ComponentRunSpec(component=component.metadata.name, channel=channel), component)
    except UserError:
        return None
