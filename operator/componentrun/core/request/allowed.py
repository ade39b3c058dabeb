"""What runs may set themselves, as their Component allows it: sizes, limits, timeouts and tags. Pure.

`network` has its own rule, because a Component's network is both the default and the maximum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.api.common import duration_seconds, quantity_value
from componentrun.core.request.image import component_image, split_tag
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.api.component import Component, Size

__all__ = ["check_limits", "check_size", "check_tag", "check_timeout"]

_ASK_FOR_LESS: Final = "Request less, or have the Component changed."


def check_size(size: Size | None, component: Component) -> None:
    """Refuse a size that the Component does not allow.

    Raises:
        UserError: (InvalidSpec) the message names the sizes that it allows.
    """
    sizes = component.spec.allowed.sizes if component.spec.allowed else None
    if size is None or sizes is None or size in sizes:
        return
    name, known = component.metadata.name, ", ".join(f"`{item}`" for item in sizes)
    raise UserError(
        f"spec.size: found `{size}`, which Component `{name}` does not allow; expected one of {known}",
        Reason.INVALID_SPEC,
        advice=_ASK_FOR_LESS,
    )


def check_limits(limits: Mapping[str, str], maxima: Mapping[str, str], path: str, component: Component) -> None:
    """Refuse limits above what the Component allows.

    Args:
        limits: the limits of the run, by resource.
        maxima: the maximum of each resource that has one.
        path: path of the field from which the limits come.
        component: the Component.

    Raises:
        UserError: (InvalidSpec) the message names the resource, the limit and the maximum.
    """
    for name, most in maxima.items():
        if name in limits and quantity_value(limits[name]) > quantity_value(most):
            raise UserError(
                f"{path}: `{limits[name]}` of `{name}` is more than Component `{component.metadata.name}` allows "
                f"(`{most}`)",
                Reason.INVALID_SPEC,
                advice=_ASK_FOR_LESS,
            )


def check_timeout(seconds: int, subject: str, component: Component) -> None:
    """Refuse a timeout above what the Component allows.

    Args:
        seconds: the timeout.
        subject: the field and its value, for the message.
        component: the Component.

    Raises:
        UserError: (InvalidSpec) it is longer, or what the Component allows is not a duration.
    """
    most = component.spec.allowed.timeout if component.spec.allowed else None
    if most is None:
        return
    name = component.metadata.name
    try:
        maximum = duration_seconds(most)
    except ValueError as error:
        raise UserError(f"Component `{name}`: spec.allowed.timeout: {error}", Reason.INVALID_SPEC) from error
    if seconds > maximum:
        raise UserError(
            f"{subject} is more than Component `{name}` allows (`{most}`)",
            Reason.INVALID_SPEC,
            advice=_ASK_FOR_LESS,
        )


def check_tag(tag: str | None, component: Component, path: str) -> None:
    """Refuse a tag that the Component does not allow. Its own tag, or those of its channels, are always allowed.

    Args:
        tag: the tag that is asked for; None: the Component's own.
        component: the Component.
        path: path of the field with the tag.

    Raises:
        UserError: (InvalidSpec) the message names the tags that it allows.
    """
    tags = component.spec.allowed.tags if component.spec.allowed else None
    if tag is None or tags is None:
        return
    own = [channel.tag for channel in component.spec.channels]
    if not component.spec.channels:
        own = [split_tag(component_image(component, None, path).partition("@")[0])[1]]
    if tag in {*own, *tags}:
        return
    names = ", ".join(f"`{name}`" for name in dict.fromkeys((*own, *tags)) if name)
    known = f"one of {names}" if names else "none"
    raise UserError(
        f"{path}: found `{tag}`, which Component `{component.metadata.name}` does not allow; expected {known}",
        Reason.INVALID_SPEC,
        advice="Use one of them, or have the Component changed.",
    )
