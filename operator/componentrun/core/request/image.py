"""Image references: which one a run means, and what to call the component where it has no name of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from componentrun.api.component import Component
    from componentrun.api.componentrun import ComponentRunSpec

__all__ = ["component_id", "image_reference", "pull_policy", "split_tag"]

_NOT_IN_AN_ID: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_DEFAULT_TAG: Final = "latest"
"""Of an image of which nobody says another, here as at every registry."""


def split_tag(image: str) -> tuple[str, str | None]:
    """`host:5000/team/app:1.2` is (`host:5000/team/app`, `1.2`). A colon before the last slash is a port."""
    head, slash, last = image.rpartition("/")
    name, colon, tag = last.partition(":")
    return (head + slash + name, tag) if colon else (image, None)


def image_reference(spec: ComponentRunSpec, component: Component | None) -> str:
    """The image to run: the Component's with its tag (or the run's), or the run's own. A digest is never touched.

    Raises:
        UserError: INVALID_SPEC where a tag is asked for and the image already says which one it is.
    """
    if component is None:
        image, tag = spec.image or "", spec.tag
        if tag and split_tag(image)[1] is not None:
            raise UserError(
                f"spec.tag: `{tag}` was given, but spec.image `{image}` already names its tag: leave one of them out",
                Reason.INVALID_SPEC,
            )
        owner = "spec.image"
    else:
        image, tag = component.spec.image, spec.tag or _own_tag(component)
        owner = f"the image of Component `{component.metadata.name}`"
    if "@" not in image:
        return f"{split_tag(image)[0]}:{tag}" if tag else image
    if spec.tag:
        raise UserError(
            f"spec.tag: `{tag}` was given, but {owner} is pinned by digest (`{image}`): leave the tag out",
            Reason.INVALID_SPEC,
        )
    return image


def pull_policy(image: str) -> Literal["Always", "IfNotPresent"]:
    """Whether a node asks the registry for every run, as it does where no tag or `latest` says which image it is.

    Any other tag is one release, and a node that has it takes what it has.
    """
    moves = "@" not in image and split_tag(image)[1] in {None, _DEFAULT_TAG}
    return "Always" if moves else "IfNotPresent"


def _own_tag(component: Component) -> str | None:
    """The Component's tag. `latest` does not replace a tag that stands in its image.

    The API server puts that default into each Component that gives no tag; nothing tells it from one that was given.
    """
    written_in_image = split_tag(component.spec.image)[1]
    if written_in_image is not None and component.spec.tag == _DEFAULT_TAG:
        return written_in_image
    return component.spec.tag


def component_id(image: str, component: Component | None) -> str:
    """The Component's name, or the last part of the image's name: `registry/team/cleaner:1` is `cleaner`."""
    if component is not None:
        return component.metadata.name
    name = split_tag(image.partition("@")[0])[0].rsplit("/", maxsplit=1)[-1]
    return _NOT_IN_AN_ID.sub("-", name).strip("-._") or "component"
