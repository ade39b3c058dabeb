"""What a container may use: CPU, memory and time, from a named size, explicit values, or the defaults; and its user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun import contract
from componentrun.api.common import duration_seconds, duration_text, quantity_value
from componentrun.core.request.allowed import check_limits, check_size, check_timeout
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.api.component import Component, Resources, Size
    from componentrun.api.componentrun import ComponentRunSpec

__all__ = ["SIZES", "container_resources", "processor_resources", "timeout_seconds", "user_id"]

SIZES: Final[dict[str, tuple[int, float]]] = {
    "xsmall": (1, 0.5),
    "small": (2, 1.0),
    "medium": (4, 2.0),
    "large": (14, 7.1),
}
"""CPUs and factor of the Component's memory (contract, Limits)."""

_DEFAULTS: Final = {"cpu": contract.DEFAULT_CPU, "memory": contract.DEFAULT_MEMORY}
_MEBIBYTE: Final = 2**20


def container_resources(spec: ComponentRunSpec, component: Component | None) -> tuple[dict[str, str], dict[str, str]]:
    """Limits and requests, both as Kubernetes quantities.

    If the run has a size, the limits are those of the size. Otherwise the run's limits take precedence over the
    Component's, and these over the defaults of 1 CPU and 256Mi. A resource without a limit gets the maximum that the
    Component allows, if it has one. Requests default to the limits.

    Raises:
        UserError: (InvalidSpec) size and resources are both given, a request exceeds its limit, a limit is 0 or above
            what the Component allows, or the size is not allowed; the message names the field.
    """
    if spec.size and spec.resources:
        raise UserError(
            f"spec.resources: given together with spec.size `{spec.size}`",
            Reason.INVALID_SPEC,
            advice="Remove one of them.",
        )
    if component is None:
        return _resources(spec.size, spec.resources, None, "the Component's spec.resources", {})
    check_size(spec.size, component)
    maxima, owner = _maxima(component), f"Component `{component.metadata.name}`: spec.resources"
    limits, requests = _resources(spec.size, spec.resources, component.spec.resources, owner, maxima)
    path = "spec.size" if spec.size else "spec.resources.limits" if spec.resources else f"{owner}.limits"
    check_limits(limits, maxima, path, component)
    return limits, requests


def processor_resources(size: Size | None, component: Component) -> tuple[dict[str, str], dict[str, str]]:
    """Limits and requests of a processor: those of its Component, scaled by the size of the run up to what it allows.

    Raises:
        UserError: (InvalidSpec) a request exceeds its limit, or a limit is 0 or above what it allows; the message names
            the Component.
    """
    maxima, owner = _maxima(component), f"Component `{component.metadata.name}`: spec.resources"
    limits, requests = _resources(size, None, component.spec.resources, owner, maxima)
    if size is None:
        check_limits(limits, maxima, f"{owner}.limits", component)
        return limits, requests
    limits |= {name: most for name, most in maxima.items() if quantity_value(limits[name]) > quantity_value(most)}
    return limits, dict(limits)


def timeout_seconds(asked: str | None, component: Component | None) -> int:
    """The timeout: as the run asks, or the Component's, or one hour.

    Raises:
        UserError: (InvalidSpec) it is not a duration, out of bounds, or more than the Component allows; the message
            names the field.
    """
    text = asked or (component.spec.timeout if component else None)
    owner = "" if asked or component is None else f"Component `{component.metadata.name}`: "
    seconds = contract.DEFAULT_TIMEOUT_SECONDS if text is None else _seconds(text, owner)
    if component is not None:
        shown = f"`{text}`" if text else f"the default `{duration_text(seconds)}`"
        check_timeout(seconds, f"{owner}spec.timeout: {shown}", component)
    return seconds


def _seconds(text: str, owner: str) -> int:
    try:
        seconds = duration_seconds(text)
    except ValueError as error:
        raise UserError(f"{owner}spec.timeout: {error}", Reason.INVALID_SPEC) from error
    if not 0 < seconds <= contract.MAX_TIMEOUT_SECONDS:
        raise UserError(
            f"{owner}spec.timeout: `{text}` is out of bounds: expected more than 0s and at most 24h",
            Reason.INVALID_SPEC,
        )
    return seconds


def user_id(component: Component | None) -> int:
    """The user of a container."""
    own = component.spec.run_as_user if component else None
    return contract.DEFAULT_USER_ID if own is None else own


def _resources(
    size: Size | None,
    asked: Resources | None,
    component_resources: Resources | None,
    owner: str,
    maxima: Mapping[str, str],
) -> tuple[dict[str, str], dict[str, str]]:
    """Limits and requests; `owner` is the path of the Component's resources, for messages.

    A resource without a limit would be unlimited, so it gets its maximum. That reserves nothing on the node.
    """
    limits = dict(maxima) | _DEFAULTS | _limits(component_resources)
    requests = _requests(component_resources)
    if size:
        cpus, factor = SIZES[size]
        memory = _amount(f"{owner}.limits.memory", limits["memory"])
        limits |= {"cpu": str(cpus), "memory": _times(memory, factor)}
        requests = {}  # the Component's requests are meant for another size
    elif asked:
        run_limits = _limits(asked)
        limits |= run_limits
        requests = {name: value for name, value in requests.items() if name not in run_limits} | _requests(asked)
    set_by_nobody = maxima.keys() - _DEFAULTS.keys() - _limits(component_resources).keys() - _limits(asked).keys()
    # Without a request, Kubernetes requests the limit.
    requests = dict.fromkeys(set_by_nobody, "0") | requests
    _check(limits, requests, "spec.resources" if asked else owner)
    return limits, limits | requests


def _maxima(component: Component) -> dict[str, str]:
    """The maximum of each limit that the Component allows; empty if it allows any.

    If it allows only some sizes, `resources` must not exceed the largest of them, nor the Component's own limits.
    """
    allowed = component.spec.allowed
    if allowed is None:
        return {}
    owner = f"Component `{component.metadata.name}`: spec"
    if allowed.resources is not None or allowed.sizes is None:
        maxima = {str(name): value for name, value in (allowed.resources or {}).items()}
        for name, value in maxima.items():
            _amount(f"{owner}.allowed.resources.{name}", value)
        return maxima
    own = component.spec.resources
    found = [_resources(size, None, own, f"{owner}.resources", {})[0] for size in (None, *allowed.sizes)]
    return {name: max((limits[name] for limits in found), key=quantity_value) for name in _DEFAULTS}


def _limits(resources: Resources | None) -> dict[str, str]:
    return {str(k): v for k, v in ((resources and resources.limits) or {}).items()}


def _requests(resources: Resources | None) -> dict[str, str]:
    return {str(k): v for k, v in ((resources and resources.requests) or {}).items()}


def _times(memory: float, factor: float) -> str:
    """A multiple of a number of bytes, in whole mebibytes and at least one."""
    return f"{max(1, round(memory * factor / _MEBIBYTE))}Mi"


def _amount(path: str, value: str) -> float:
    """Parse a quantity. The API server accepts any number as a quantity, because its pattern applies only to strings.

    Raises:
        UserError: (InvalidSpec) the quantity is invalid; the message names the field.
    """
    try:
        return quantity_value(value)
    except ValueError as error:
        raise UserError(f"{path}: {error}", Reason.INVALID_SPEC) from error


def _check(limits: dict[str, str], requests: dict[str, str], path: str) -> None:
    for name, value in limits.items():
        if _amount(f"{path}.limits.{name}", value) <= 0:
            raise UserError(f"{path}.limits.{name}: `{value}` is nothing; expected more than 0", Reason.INVALID_SPEC)
    for name, value in requests.items():
        amount = _amount(f"{path}.requests.{name}", value)
        if name in limits and amount > quantity_value(limits[name]):
            raise UserError(
                f"{path}.requests.{name}: `{value}` is more than the limit `{limits[name]}`",
                Reason.INVALID_SPEC,
                advice="Lower the request, or raise the limit.",
            )
