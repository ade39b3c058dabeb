"""Image references: the image of a run, and the component id of a run without a Component."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from componentrun.api.channels import ImageResolution
    from componentrun.api.component import Component
    from componentrun.api.componentrun import ComponentRunSpec

__all__ = [
    "ResolvedImage",
    "check_no_channel",
    "component_id",
    "component_image",
    "image_reference",
    "pull_policy",
    "split_tag",
]

_NOT_IN_AN_ID: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_DEFAULT_TAG: Final = "latest"
"""Default tag of an image, as in every registry."""


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """The image of a run, or of a processor, whose Component has channels."""

    reference: str
    """Full name with the digest."""
    resolution: ImageResolution
    warnings: tuple[str, ...] = ()


def split_tag(image: str) -> tuple[str, str | None]:
    """Split an image into name and tag: `host:5000/team/app:1.2` into `host:5000/team/app` and `1.2`.

    A colon before the last slash is a port.
    """
    head, slash, last = image.rpartition("/")
    name, colon, tag = last.partition(":")
    return (head + slash + name, tag) if colon else (image, None)


def image_reference(spec: ComponentRunSpec, component: Component | None) -> str:
    """The image to run: the Component's with its tag or the run's, or the run's own. A digest is never changed.

    Not for Components with channels, whose images the operator resolves (`core.images.channels`).

    Raises:
        UserError: (InvalidSpec) the run gives a tag, but its own image already has one, or the image has a digest; or
            it names a channel.
    """
    check_no_channel(spec.channel, component, "spec")
    if component is None:
        image, tag = spec.image or "", spec.tag
        if tag and split_tag(image)[1] is not None:
            raise UserError(
                f"spec.tag: `{tag}` was given, but spec.image `{image}` already names its tag",
                Reason.INVALID_SPEC,
                advice="Remove one of them.",
            )
        return _with_tag(image, tag, spec.tag, "spec.tag", "spec.image")
    return component_image(component, spec.tag, "spec.tag")


def check_no_channel(channel: str | None, component: Component | None, path: str) -> None:
    """Refuse a channel of a Component that has none.

    Args:
        channel: what is asked for; None: nothing.
        component: the Component; None: the run has an image of its own.
        path: path of the object that has `channel`.

    Raises:
        UserError: (InvalidSpec) a channel is asked for.
    """
    if channel is None:
        return
    owner = f"Component `{component.metadata.name}`" if component else "spec.image"
    raise UserError(
        f"{path}.channel: `{channel}` was given, but {owner} has no channels",
        Reason.INVALID_SPEC,
        advice="Remove it, or have channels added to the Component.",
    )


def component_image(component: Component, tag: str | None, field: str) -> str:
    """The image of a Component, with its own tag or another one. A digest is never changed.

    Args:
        component: the Component.
        tag: the tag that is asked for; None: its own.
        field: path of the field with the tag.

    Raises:
        UserError: (InvalidSpec) a tag is asked for, but the image has a digest.
    """
    owner = f"the image of Component `{component.metadata.name}`"
    return _with_tag(component.spec.image, tag or _own_tag(component), tag, field, owner)


def _with_tag(image: str, tag: str | None, asked: str | None, field: str, owner: str) -> str:
    if "@" not in image:
        return f"{split_tag(image)[0]}:{tag}" if tag else image
    if asked:
        raise UserError(
            f"{field}: `{asked}` was given, but {owner} is pinned by digest (`{image}`)",
            Reason.INVALID_SPEC,
            advice="Remove the tag.",
        )
    return image


def pull_policy(image: str) -> Literal["Always", "IfNotPresent"]:
    """The image pull policy: `Always` for an image without a tag or with the tag `latest`, as in Kubernetes.

    Any other tag is considered immutable, so nodes use their cached image.
    """
    moves = "@" not in image and split_tag(image)[1] in {None, _DEFAULT_TAG}
    return "Always" if moves else "IfNotPresent"


def _own_tag(component: Component) -> str | None:
    """The Component's tag. If the tag is `latest`, a tag in the Component's image takes precedence.

    `latest` is the default that the API server sets, which can't be distinguished from an explicit value.
    """
    written_in_image = split_tag(component.spec.image)[1]
    if written_in_image is not None and component.spec.tag == _DEFAULT_TAG:
        return written_in_image
    return component.spec.tag


def component_id(image: str, component: Component | None) -> str:
    """The Component's name, or the last part of the image's name: `cleaner` for `registry/team/cleaner:1`."""
    if component is not None:
        return component.metadata.name
    name = split_tag(image.partition("@")[0])[0].rsplit("/", maxsplit=1)[-1]
    return _NOT_IN_AN_ID.sub("-", name).strip("-._") or "component"
