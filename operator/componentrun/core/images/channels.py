"""Which channel a run uses, when its digest is known already, and what the Component's status keeps of it. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.api.channels import (
    DEFAULT_FOLLOW,
    MOST_CHOSEN_TAGS,
    MOST_KEPT,
    Channel,
    ChannelDigest,
    ChannelStatus,
    Follow,
    ImageResolution,
)
from componentrun.api.common import duration_seconds
from componentrun.core.images.freshness import fresh_since
from componentrun.core.images.reference import Repository, parse_reference, parse_repository
from componentrun.core.images.semver import parse_range
from componentrun.core.images.signingkey import SigningKey, parse_signing_key
from componentrun.core.request.image import component_image
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from componentrun.api.component import Component
    from componentrun.api.componentrun import ComponentRunSpec

__all__ = [
    "DEFAULT_CHANNEL",
    "ImageChoice",
    "Resolved",
    "build_hash",
    "channel_digest",
    "choose_image",
    "kept_digest",
    "known_digests",
    "last_digest",
    "required_key",
    "status_of_channel",
    "unverified_digest",
    "verified_digests",
    "with_resolved",
]

DEFAULT_CHANNEL: Final = "release"
"""The channel of runs that name none, if the Component names no default; without such a channel, the first one."""
_HASH_CHARACTERS: Final = 16
_DEFAULT_INTERVAL: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """What a run uses: exactly one of `tag`, `semver`, `digest` and `build` is set."""

    repository: Repository
    channel: str
    follow: Follow
    tag: str | None = None
    semver: str | None = None
    digest: str | None = None
    build: str | None = None
    """Hash of what the channel says about its build. `repository` is then that of the parent image, until
    `core.builds.lifecycle.request.with_target` replaces it."""
    is_own: bool = True
    """Whether this is what the channel points to, and not another tag of it that the run chose."""
    interval: timedelta = _DEFAULT_INTERVAL
    use_last: bool = False
    key: SigningKey | None = None
    """Key with which the image must be signed; None: it need not be."""

    @property
    def verified_by(self) -> str | None:
        """Fingerprint of the key; None if the image need not be signed."""
        return self.key.fingerprint if self.key is not None else None


@dataclass(frozen=True, slots=True)
class Resolved:
    """The digest of a choice."""

    digest: str
    tag: str | None
    source: Literal["Spec", "Pinned", "Registry", "Last", "Build"]
    time: datetime
    """When it was resolved."""
    warning: str = ""

    def resolution(self, choice: ImageChoice) -> ImageResolution:
        """What the status of the run says about it."""
        return ImageResolution(channel=choice.channel, tag=self.tag, source=self.source, time=self.time)


def choose_image(spec: ComponentRunSpec, component: Component, path: str = "spec") -> ImageChoice:
    """The image of a run, or of a processor, whose Component has channels.

    Args:
        spec: the run.
        component: its Component, with at least one channel.
        path: path of the object that has `tag` and `channel`, for messages.

    Raises:
        UserError: (InvalidSpec) the run or the Component asks for something that does not exist or is contradictory.
    """
    title = f"Component `{component.metadata.name}`"
    if spec.channel and spec.tag:
        raise UserError(
            f"{path}.tag: `{spec.tag}` was given, and {path}.channel `{spec.channel}` as well",
            Reason.INVALID_SPEC,
            advice="Remove one of them.",
        )
    channel = _by_tag(spec.tag, component, path) if spec.tag else _by_name(spec.channel, component, path)
    owner = f"{title}: channel `{channel.name}`"
    # A parent may have a digest.
    parse = parse_repository if channel.build is None else parse_reference
    repository = parse(component.spec.image, f"{title}: spec.image")
    follow = channel.follow or DEFAULT_FOLLOW.get(channel.name, "Pinned")
    _check(channel, owner, follow, is_verified=component.spec.verify is not None)
    is_own = spec.tag is None or spec.tag == channel.tag
    return ImageChoice(
        repository,
        channel.name,
        follow,
        tag=channel.tag if is_own else spec.tag,
        semver=channel.semver if is_own else None,
        digest=channel.digest,
        build=build_hash(component, channel) if is_own and channel.build is not None else None,
        is_own=is_own,
        interval=_interval(channel, owner),
        use_last=channel.on_failure == "UseLast",
        key=required_key(component),
    )


def required_key(component: Component) -> SigningKey | None:
    """The key with which the images of a Component must be signed; None if they need not be.

    Raises:
        UserError: (InvalidSpec) `spec.verify` can't be used, or there are no channels: the image of a Component without
            them is resolved by nodes, which check no signatures.
    """
    if component.spec.verify is None:
        return None
    title = f"Component `{component.metadata.name}`"
    if not component.spec.channels:
        raise UserError(
            f"{title}: found spec.verify without spec.channels; expected channels, because only images that the "
            "operator resolves are verified",
            Reason.INVALID_SPEC,
            advice="Add channels, for example `{name: release, tag: …}`, or remove `spec.verify`.",
        )
    return parse_signing_key(component.spec.verify.key, f"{title}: spec.verify.key")


def _by_name(name: str | None, component: Component, path: str) -> Channel:
    channels = component.spec.channels
    wanted = name or component.spec.default_channel
    if wanted is None:
        return next((item for item in channels if item.name == DEFAULT_CHANNEL), channels[0])
    found = next((item for item in channels if item.name == wanted), None)
    if found is not None:
        return found
    field = f"{path}.channel" if name else f"Component `{component.metadata.name}`: spec.defaultChannel"
    there = ", ".join(f"`{item.name}`" for item in channels)
    raise UserError(
        f"{field}: `{wanted}` is not a channel of Component `{component.metadata.name}`: expected one of {there}",
        Reason.INVALID_SPEC,
        advice="Name one of them.",
    )


def _by_tag(tag: str, component: Component, path: str) -> Channel:
    """The channel that has this tag, or whose range of versions contains it. The default channel comes first."""
    default = _by_name(None, component, path)
    channels = (default, *(item for item in component.spec.channels if item is not default))
    owner = f"Component `{component.metadata.name}`: channel"
    for channel in channels:
        if channel.tag == tag:
            return channel
    for channel in channels:
        if channel.semver is not None and tag in parse_range(channel.semver, f"{owner} `{channel.name}`: semver"):
            return channel
    allowed = [f"`{item.tag or item.semver}`" for item in channels if item.tag or item.semver]
    raise UserError(
        f"{path}.tag: `{tag}` is not allowed by Component `{component.metadata.name}`: "
        f"expected {', '.join(allowed) or 'no tag, because its channels name digests or builds'}",
        Reason.INVALID_SPEC,
        advice="Name a tag of one of its channels, or have a channel for this tag added.",
    )


def _check(channel: Channel, owner: str, follow: Follow, *, is_verified: bool) -> None:
    """Check what the API server checks as well, because a Component may have been created before its rules."""
    given = [name for name in ("tag", "semver", "digest", "build") if getattr(channel, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise UserError(
            f"{owner}: found {found}; expected exactly one of tag, semver, digest and build",
            Reason.INVALID_SPEC,
            advice="Correct the channel.",
        )
    if channel.semver is not None:
        parse_range(channel.semver, f"{owner}: semver")
    if channel.build is not None and is_verified:
        raise UserError(
            f"{owner}: found `build` and spec.verify; expected one of them, because images that are built have no "
            "signature",
            Reason.INVALID_SPEC,
            advice="Remove `verify`, or name an image by `tag`, `semver` or `digest`.",
        )
    if channel.build is not None and channel.build.max_age is not None and follow == "Pinned":
        raise UserError(
            f"{owner}: found `maxAge` and follow `Pinned`; expected `EachRun` or `Interval`, because a pinned channel "
            "keeps its image",
            Reason.INVALID_SPEC,
            advice="Set `follow`, or remove `maxAge`.",
        )


def build_hash(component: Component, channel: Channel) -> str:
    """Hash of what decides about the builds of a channel, except for the commit and the parent's digest.

    Raises:
        UserError: (InvalidSpec) the time of `build start --fresh` is not valid.
    """
    build = channel.build.to_dict() if channel.build is not None else {}
    content: dict[str, Any] = {"build": build, "parent": component_image(component, None, "spec.image")}
    fresh = fresh_since(component, channel.name)
    if fresh is not None:
        content["fresh"] = fresh.isoformat()
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_HASH_CHARACTERS]


def _interval(channel: Channel, owner: str) -> timedelta:
    if channel.interval is None:
        return _DEFAULT_INTERVAL
    try:
        return timedelta(seconds=duration_seconds(channel.interval))
    except ValueError as error:
        raise UserError(f"{owner}: interval: {error}", Reason.INVALID_SPEC) from error


def status_of_channel(statuses: Sequence[ChannelStatus], name: str) -> ChannelStatus:
    """The status of a channel; an empty one if it has none."""
    return next((item for item in statuses if item.name == name), ChannelStatus(name=name))


def kept_digest(choice: ImageChoice, statuses: Sequence[ChannelStatus], now: datetime) -> Resolved | None:
    """The digest to use without a request to the registry; None if the registry must be asked.

    A digest whose signature must be verified counts only if it was, with the present key.
    """
    status = status_of_channel(statuses, choice.channel)
    entry = _entry(choice, status)
    if choice.digest is not None:
        is_verified = choice.verified_by is None or (entry is not None and entry.verified_by == choice.verified_by)
        return Resolved(choice.digest, None, "Spec", entry.time if entry else now) if is_verified else None
    if entry is None or (choice.verified_by is not None and entry.verified_by != choice.verified_by):
        return None
    is_fresh = status.checked is not None and timedelta() <= now - status.checked < choice.interval
    if choice.follow == "Pinned" or (choice.follow == "Interval" and choice.is_own and is_fresh):
        return Resolved(entry.digest, entry.tag, "Pinned", entry.time)
    return None


def unverified_digest(choice: ImageChoice, statuses: Sequence[ChannelStatus], now: datetime) -> Resolved | None:
    """The digest that would be used without a request if the image need not be signed.

    If the key was added or changed, the signature of this digest is checked: a pinned digest must not be replaced for
    that reason if the tag has moved meanwhile.
    """
    return kept_digest(replace(choice, key=None), statuses, now)


def known_digests(repository: Repository, statuses: Sequence[ChannelStatus]) -> frozenset[str]:
    """Digests of the repository that any channel has used."""
    return frozenset(entry.digest for entry in _entries(repository, statuses))


def verified_digests(repository: Repository, key: SigningKey, statuses: Sequence[ChannelStatus]) -> frozenset[str]:
    """Digests of the repository whose signatures were verified with this key, for any channel."""
    return frozenset(entry.digest for entry in _entries(repository, statuses) if entry.verified_by == key.fingerprint)


def _entries(repository: Repository, statuses: Sequence[ChannelStatus]) -> list[ChannelDigest]:
    return [entry for status in statuses for entry in (*status.history, *status.tags) if entry.image == repository.name]


def last_digest(choice: ImageChoice, statuses: Sequence[ChannelStatus], why: str) -> Resolved | None:
    """The last digest of the choice, if the channel allows to use it while the registry does not respond.

    Args:
        choice: what the run uses.
        statuses: channels in the Component's status.
        why: why the registry can't be asked, for the warning.
    """
    entry = _entry(choice, status_of_channel(statuses, choice.channel))
    is_usable = entry is not None and (choice.verified_by is None or entry.verified_by == choice.verified_by)
    if entry is None or not choice.use_last or not is_usable:
        return None
    warning = f"channel `{choice.channel}`: the last digest is used, resolved at {entry.time:%Y-%m-%dT%H:%M:%SZ}: {why}"
    return Resolved(entry.digest, entry.tag, "Last", entry.time, warning)


def channel_digest(choice: ImageChoice, statuses: Sequence[ChannelStatus]) -> str | None:
    """The digest that the channel points to, however old; None if it was not resolved for what its spec says now."""
    status = status_of_channel(statuses, choice.channel)
    entry = _entry(choice, status)
    is_present = entry is not None and entry.digest == status.digest
    is_usable = entry is not None and (choice.verified_by is None or entry.verified_by == choice.verified_by)
    return status.digest if is_present and is_usable else None


def _entry(choice: ImageChoice, status: ChannelStatus) -> ChannelDigest | None:
    """The digest that the status keeps for the choice: the present one of the channel, or else the newest."""
    found = [
        entry
        for entry in (status.history if choice.is_own else status.tags)
        if entry.image == choice.repository.name
        and (
            entry.digest == choice.digest
            if choice.digest is not None
            else entry.build == choice.build
            if choice.build is not None
            else (entry.semver == choice.semver if choice.semver is not None else _is_tag(entry, choice))
        )
    ]
    present = [entry for entry in found if entry.digest == status.digest and choice.is_own]
    return next(iter([*present, *found]), None)


def _is_tag(entry: ChannelDigest, choice: ImageChoice) -> bool:
    return entry.tag == choice.tag and entry.semver is None and entry.build is None


def with_resolved(
    statuses: Sequence[ChannelStatus], choice: ImageChoice, resolved: Resolved, now: datetime
) -> tuple[ChannelStatus, ...]:
    """The channels of the Component's status after a digest was resolved. Equal to the old ones if nothing is new.

    A digest that the history has keeps its place: the history tells in which order digests were first used. A digest
    in the spec keeps the tag that it was resolved from before. The present digest is never dropped.

    Raises:
        UserError: (InvalidSpec) the run chooses one more tag of a pinned channel than the status can keep.
    """
    status = status_of_channel(statuses, choice.channel)
    others = [item for item in statuses if item.name != choice.channel]
    update = _with_own(status, choice, resolved, now) if choice.is_own else _with_chosen(status, choice, resolved, now)
    return tuple(sorted((*others, update), key=lambda item: item.name))


def _with_own(status: ChannelStatus, choice: ImageChoice, resolved: Resolved, now: datetime) -> ChannelStatus:
    """The status of a channel after what it points to was resolved."""
    known = _known(status.history, choice, resolved)
    entry = ChannelDigest(
        digest=resolved.digest,
        image=choice.repository.name,
        tag=known.tag if known and choice.digest else resolved.tag,
        semver=known.semver if known and choice.digest else choice.semver,
        build=known.build if known and choice.digest else choice.build,
        time=known.time if known else now,
        verified_by=choice.verified_by,
    )
    history = tuple(entry if item is known else item for item in status.history)
    is_new = status.digest != resolved.digest or status.tag != resolved.tag
    asked = resolved.source in {"Registry", "Build"} and (is_new or choice.follow == "Interval")
    update = status.model_copy(
        update={
            "digest": resolved.digest,
            "tag": resolved.tag,
            "since": now if is_new else status.since,
            "checked": now if asked else status.checked,
            "moved_to": None if is_new or resolved.source in {"Registry", "Build"} else status.moved_to,
            "history": history if known else (entry, *history),
        }
    )
    return update.model_copy(update={"history": _trimmed(update)})


def _with_chosen(status: ChannelStatus, choice: ImageChoice, resolved: Resolved, now: datetime) -> ChannelStatus:
    """The status of a channel after a run's own tag was resolved. It must not push out what the channel itself had."""
    present = [entry for entry in status.tags if entry.image == choice.repository.name]
    known = next((entry for entry in present if entry.tag == choice.tag), None)
    entry = ChannelDigest(
        digest=resolved.digest,
        image=choice.repository.name,
        tag=choice.tag,
        time=known.time if known and known.digest == resolved.digest else now,
        verified_by=choice.verified_by,
    )
    if known is not None:
        return status.model_copy(update={"tags": tuple(entry if item is known else item for item in present)})
    if len(present) >= MOST_CHOSEN_TAGS and choice.follow == "Pinned":
        raise UserError(
            f"tag `{choice.tag}`: runs have chosen {len(present)} other tags of channel `{choice.channel}`; expected "
            f"at most {MOST_CHOSEN_TAGS}, because their digests must be kept",
            Reason.INVALID_SPEC,
            advice="Choose the channel itself or one of these tags, or have a channel for this tag added.",
        )
    return status.model_copy(update={"tags": (entry, *present[: MOST_CHOSEN_TAGS - 1])})


def _known(history: Sequence[ChannelDigest], choice: ImageChoice, resolved: Resolved) -> ChannelDigest | None:
    """The entry of a digest; None if it is new, or was resolved only from other tags."""
    same = [item for item in history if (item.digest, item.image) == (resolved.digest, choice.repository.name)]
    if choice.digest is not None:
        return next(iter(same), None)
    own = (item for item in same if (item.tag, item.semver) == (resolved.tag, choice.semver))
    without_tag = (item for item in same if item.tag is None)  # it was in the spec
    return next(own, None) or next(without_tag, None)


def _trimmed(status: ChannelStatus) -> tuple[ChannelDigest, ...]:
    kept = list(status.history)
    while len(kept) > MOST_KEPT:
        others = (item for item in reversed(kept) if item.digest != status.digest or item.tag != status.tag)
        by_digest = (item for item in reversed(kept) if item.digest != status.digest)
        kept.remove(next(by_digest if status.tag is None else others, kept[-1]))
    return tuple(kept)
