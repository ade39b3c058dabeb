"""Which digest `promote` and `rollback` write into `spec.channels`. Pure.

Specs are edited as the API server sent them, so that fields of a later release are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun.core.images.channels import status_of_channel
from componentrun.core.images.reference import DIGEST, parse_repository
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.api.channels import Channel, ChannelDigest
    from componentrun.api.component import Component

__all__ = ["check_channel", "older_digest", "present_digest", "with_digest"]

_REPLACED: Final = frozenset({"tag", "semver", "digest", "build", "follow", "interval"})
"""Fields of a channel that a digest replaces."""


def check_channel(component: Component, name: str) -> Channel:
    """The channel of this name.

    Raises:
        UserError: (InvalidSpec) there is none.
    """
    found = next((channel for channel in component.spec.channels if channel.name == name), None)
    if found is None:
        there = ", ".join(f"`{channel.name}`" for channel in component.spec.channels)
        raise UserError(
            f"{component.KIND} `{component.metadata.name}` has no channel `{name}`; expected "
            f"{f'one of {there}' if there else 'none, because it has no channels'}",
            Reason.INVALID_SPEC,
            advice="Name one of them." if there else "Add channels to it.",
        )
    return found


def present_digest(component: Component, name: str) -> str:
    """The digest that a channel points to: the one in its spec, or the last one that a run resolved.

    Raises:
        UserError: (InvalidSpec) there is no such channel, or no run has resolved what its spec says now.
    """
    channel = check_channel(component, name)
    if channel.build is not None:
        raise UserError(
            f"channel `{name}` of {component.KIND} `{component.metadata.name}` is built from a git repository, so its "
            "digest can't be used in another channel",
            Reason.INVALID_SPEC,
            advice="Give the other channel the same `build`, with the commit as `source.git.ref`.",
        )
    if channel.digest is not None:
        return channel.digest
    status = status_of_channel(component.status.channels, name)
    is_of_this_spec = any(
        (entry.digest, entry.tag, entry.semver) == (status.digest, channel.tag or status.tag, channel.semver)
        for entry in _history(component, name)
    )
    if status.digest is None or not is_of_this_spec:
        raise UserError(
            f"channel `{name}` of {component.KIND} `{component.metadata.name}` points to no digest yet",
            Reason.INVALID_SPEC,
            advice="Start a run with this channel, so that the operator resolves its digest.",
        )
    return status.digest


def older_digest(component: Component, name: str, wanted: str | None = None) -> str:
    """The digest that a channel had before its present one, or a chosen one of its history.

    Args:
        component: the Component.
        name: name of the channel.
        wanted: a digest, or the first characters of one; None: the next older one.

    Raises:
        UserError: (InvalidSpec) there is no such channel or digest, or several digests begin like that.
    """
    history = [entry.digest for entry in _history(component, name)]
    title = f"channel `{name}` of {component.KIND} `{component.metadata.name}`"
    if wanted is not None:
        prefix = wanted if wanted.startswith("sha256:") else f"sha256:{wanted}"
        found = sorted({digest for digest in history if digest.startswith(prefix)})
        if len(found) == 1:
            return found[0]
        raise UserError(
            f"{title}: {'several digests of its history begin' if found else 'no digest of its history begins'} "
            f"with `{wanted}`",
            Reason.INVALID_SPEC,
            advice=f"See `componentrun component history {component.metadata.name}`.",
        )
    present = present_digest(component, name)
    older = history[history.index(present) + 1 :] if present in history else history
    found_older = next((digest for digest in older if digest != present), None)
    if found_older is None:
        raise UserError(
            f"{title} has no older digest than `{present}` in its history",
            Reason.INVALID_SPEC,
            advice=f"See `componentrun component history {component.metadata.name}`, and choose one with `--to`.",
        )
    return found_older


def with_digest(channels: Sequence[Mapping[str, Any]], name: str, digest: str) -> list[dict[str, Any]]:
    """`spec.channels` with a digest in one channel, which is added if it does not exist.

    Raises:
        ValueError: it is no digest.
    """
    if not DIGEST.fullmatch(digest):
        raise ValueError(digest)
    changed = [
        {key: value for key, value in channel.items() if key not in _REPLACED} | {"digest": digest}
        if channel["name"] == name
        else dict(channel)
        for channel in channels
    ]
    return changed if any(channel["name"] == name for channel in channels) else [*changed, _new(name, digest)]


def _new(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": digest}


def _history(component: Component, name: str) -> tuple[ChannelDigest, ...]:
    """Digests of the present repository, newest first: those of a former one do not exist in this one."""
    check_channel(component, name)
    repository = parse_repository(component.spec.image, f"Component `{component.metadata.name}`: spec.image")
    status = status_of_channel(component.status.channels, name)
    return tuple(entry for entry in status.history if entry.image == repository.name)
