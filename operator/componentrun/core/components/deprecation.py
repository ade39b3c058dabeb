"""Runs of deprecated Components: they have a warning, and are refused after the Component's last day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.component import Component

__all__ = ["check_deprecation", "deprecation_message", "is_withdrawn", "replacement_of"]


def replacement_of(component: Component | None) -> str | None:
    """Name of the Component that replaces this one; None if none is named."""
    deprecated = component.spec.deprecated if component is not None else None
    return deprecated.replaced_by if deprecated is not None else None


def is_withdrawn(component: Component, now: datetime) -> bool:
    """Whether runs that are created now are refused, because the Component's last day is over in UTC."""
    deprecated = component.spec.deprecated
    return deprecated is not None and deprecated.end_of_life is not None and now.date() > deprecated.end_of_life


def check_deprecation(
    component: Component | None, created: datetime, path: str, *, replacement_exists: bool
) -> tuple[str, ...]:
    """The warnings of a run because a Component that it uses is deprecated.

    Args:
        component: its Component, or that of a processor; None if it has none.
        created: when the run was created, in UTC. A run that waits for its start beyond the last day still starts.
        path: field that names the Component.
        replacement_exists: whether the component that replaces it exists.

    Raises:
        UserError: (ComponentWithdrawn) the run was created after the Component's last day.
    """
    if component is None or component.spec.deprecated is None:
        return ()
    message = deprecation_message(component, replacement_exists=replacement_exists)
    if is_withdrawn(component, created):
        raise UserError(f"{path}: {message}", Reason.COMPONENT_WITHDRAWN, advice=_advice(component, replacement_exists))
    return (f"{message}.",)


def deprecation_message(component: Component, *, replacement_exists: bool) -> str:
    """What people should know about the deprecation, without a full stop. The Component must be deprecated.

    Args:
        component: the Component.
        replacement_exists: whether the component that replaces it exists.
    """
    deprecated = component.spec.deprecated
    if deprecated is None:
        raise ValueError(f"{component.KIND} `{component.metadata.name}` is not deprecated")
    since = f" since {deprecated.since:%Y-%m-%d}" if deprecated.since is not None else ""
    parts = [f"{component.KIND} `{component.metadata.name}` is deprecated{since}"]
    if deprecated.end_of_life is not None:
        parts.append(f"its runs can be created until {deprecated.end_of_life:%Y-%m-%d}")
    if deprecated.replaced_by is not None:
        gone = "" if replacement_exists else ", which does not exist"
        parts.append(f"it is replaced by `{deprecated.replaced_by}`{gone}")
    if deprecated.message:
        parts.append(deprecated.message.strip().removesuffix("."))
    return "; ".join(parts)


def _advice(component: Component, replacement_exists: bool) -> str:  # noqa: FBT001 - a fact, not a switch
    name = replacement_of(component)
    if name is None:
        return "Use another component, or have its end of life postponed."
    if not replacement_exists:
        return f"Have the component `{name}` created, or the end of life postponed."
    return f"Use the component `{name}`."
