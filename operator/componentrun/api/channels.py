"""Channels of a Component: which image its runs get, and when a tag is looked up."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from componentrun.api.build.source import Build
from componentrun.api.common import ApiModel, Duration, Labels, LocalName, StatusModel
from componentrun.api.run.podtemplate import Toleration

__all__ = [
    "DEFAULT_FOLLOW",
    "MOST_CHANNELS",
    "MOST_CHOSEN_TAGS",
    "MOST_KEPT",
    "MOST_NODES",
    "BuildStart",
    "Channel",
    "ChannelDigest",
    "ChannelName",
    "ChannelStatus",
    "Follow",
    "ImageResolution",
    "ImageTag",
    "PrePullNode",
    "PrePullNodes",
    "PrePullStatus",
    "PullSecretRef",
    "Verify",
]

MOST_CHANNELS: Final = 32
MOST_KEPT: Final = 10
"""Number of digests of a channel that the status keeps."""
MOST_CHOSEN_TAGS: Final = 100
"""Number of tags of a channel's range that runs may choose."""
MOST_NODES: Final = 10
"""Number of nodes without a pre-pulled image that the status names."""

Follow = Literal["Pinned", "EachRun", "Interval"]
DEFAULT_FOLLOW: Final[dict[str, Follow]] = {"release": "Pinned", "master": "EachRun"}
"""By name of the channel; `Pinned` for all others."""

ChannelName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
ImageTag = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class PrePullNodes(ApiModel):
    """Nodes that an image is brought to. Use what the `podTemplate` of the runs has."""

    node_selector: Labels | None = None
    """Labels that the nodes must have. Defaults to all nodes."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] | None = None
    """Taints that the nodes may have. Defaults to none."""


class Channel(ApiModel):
    """One way to get the component's image. Exactly one of `tag`, `semver`, `digest` and `build` must be set."""

    # Applied as a whole: an apply that sets `tag` must replace the `digest` that somebody else has promoted.
    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

    name: ChannelName
    """Name of the channel, e.g. `release`."""
    tag: ImageTag | None = None
    """Tag of the image."""
    semver: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Range of versions, e.g. `^1.4` or `>=1.4 <2`. The highest version among the repository's tags is used; tags may
    begin with `v`. A pre-release such as `2.0.0-rc.1` is used only if the range names a pre-release of the same
    version."""
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Digest of the image. Written by `componentrun component promote` and `rollback`."""
    build: Build | None = None
    """How the image is built from a git repository. Requires `builds.enabled` in the chart. Not possible in a
    ClusterComponent."""
    follow: Follow | None = None
    """When the registry or the git host is asked. `Pinned`: once for each tag, range or `build`. `EachRun`: for each
    run. `Interval`: for the first run after each `interval`. A channel with `digest` can only be `Pinned`. Defaults to
    `EachRun` for the channel `master`, and to `Pinned` for all others."""
    interval: Duration | None = None
    """Interval of `follow: Interval`. Defaults to `1h`; minimum `1s`."""
    on_failure: Literal["Fail", "UseLast"] = "Fail"
    """What to do if the registry does not respond. `Fail`: retry the run, and fail it if the registry does not respond
    for too long. `UseLast`: use the channel's last digest, and add a warning to the run. Defaults to `Fail`."""
    pre_pull: bool = False
    """Whether the channel's image is brought to nodes before a run needs it, and kept there. Requires the chart value
    `operator.prePull.enabled`. Defaults to false."""
    pre_pull_nodes: PrePullNodes | None = None
    """Nodes that the image is brought to. Use the `nodeSelector` and `tolerations` of the runs' `podTemplate`. Defaults
    to all nodes without taints."""


class PullSecretRef(ApiModel):
    """Reference to a Secret with credentials for a registry."""

    name: LocalName
    """Name of a Secret of type `kubernetes.io/dockerconfigjson`, in the namespace of the run."""


class Verify(ApiModel):
    """Signature that images must have."""

    key: Annotated[str, Field(min_length=64, max_length=4096)]
    """Public key in PEM form, as `cosign generate-key-pair` writes it to `cosign.pub`: ECDSA (P-256 or P-384), RSA
    (2048 to 8192 bits) or Ed25519."""


class ChannelDigest(StatusModel):
    """One digest that a channel had, or that a run chose among its versions."""

    digest: str
    """Digest of the image."""
    image: str
    """Repository of the image."""
    tag: str | None = None
    """Tag or version that pointed to it; the name of the ComponentBuild if it was built. Not set if the digest is known
    only from the spec."""
    semver: str | None = None
    """Range of versions for which the tag was chosen."""
    build: str | None = None
    """Hash of the channel's `build` that it was built with."""
    time: datetime
    """When it was used for the first time."""
    verified_by: str | None = None
    """Fingerprint of the key with which its signature was verified. Not set if no signature was required."""


class PrePullNode(StatusModel):
    """A node that does not have the image yet."""

    name: str
    """Name of the node."""
    message: str
    """Why it does not have the image."""


class PrePullStatus(StatusModel):
    """The nodes that an image is brought to."""

    digest: str
    """Digest of the image."""
    desired: int
    """Number of nodes that should have the image."""
    ready: int
    """Number of nodes that have the image, and keep it."""
    not_ready: Annotated[tuple[PrePullNode, ...], Field(max_length=MOST_NODES)] = ()
    """Nodes that do not have the image yet, at most 10; those with an error come first."""


class BuildStart(StatusModel):
    """What became of the last request to build the image of a channel without a run (`componentrun build start`)."""

    request: str
    """The request: value of the annotation `start-build.componentrun.dev/<channel>`."""
    build: str | None = None
    """ComponentBuild that makes the image. Not set if the image was there."""
    build_hash: str | None = None
    """Hash of the channel's `build` for which the ComponentBuild was created."""
    image: str | None = None
    """Image with its digest, as soon as it is there."""
    reason: str | None = None
    """Why there is no image. Set only if the request has failed."""
    message: str | None = None
    """What happened, for people."""


class ChannelStatus(StatusModel):
    """What a channel points to."""

    name: str
    """Name of the channel."""
    digest: str | None = None
    """Digest that the channel points to now."""
    tag: str | None = None
    """Tag or version that it was resolved from, or name of the ComponentBuild. Not set if the digest is in the spec."""
    since: datetime | None = None
    """When the channel began to point to this digest."""
    checked: datetime | None = None
    """When the registry was last asked. Updated only with `follow: Interval`, or when the digest or the tag changes."""
    moved_to: str | None = None
    """Digest that the tag of a pinned channel points to now. Set only if it differs from `digest`, which runs keep
    using."""
    history: tuple[ChannelDigest, ...] = ()
    """The last 10 digests of the channel itself, in the order of their first use, newest first."""
    tags: Annotated[tuple[ChannelDigest, ...], Field(max_length=MOST_CHOSEN_TAGS)] = ()
    """Digests of the versions that runs have chosen from its range with `tag`, in the order of their first use, newest
    first. At most 100. Those of a pinned channel are kept, so a run that chooses one more version is refused."""
    pre_pull: PrePullStatus | None = None
    """The nodes that the image is brought to. Only with `prePull`."""
    build_start: BuildStart | None = None
    """The last request to build the image without a run. Only with `build`."""


class ImageResolution(StatusModel):
    """How the digest of a run's image was found."""

    channel: str
    """Channel of the Component."""
    tag: str | None = None
    """Tag or version, or name of the ComponentBuild. Not set if the digest was in the spec."""
    source: Literal["Spec", "Pinned", "Registry", "Last", "Build"]
    """`Spec`: the channel names the digest. `Pinned`: resolved for an earlier run. `Registry`: asked for this run, or
    less than a second before. `Last`: the registry did not respond, so the channel's last digest is used. `Build`: the
    image was built, for this run or for an earlier one."""
    time: datetime
    """When the digest was resolved."""
