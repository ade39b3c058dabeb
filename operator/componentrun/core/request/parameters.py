"""The parameters of a run: one object, from one of three possible fields; and those of its processors. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from componentrun.errors import Reason, UserError
from componentrun.wire.documents import MAX_DEPTH, is_too_deep
from componentrun.wire.jsontext import parse_object, trimmed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from componentrun.api.component import Component
    from componentrun.api.run.configuration import Configuration

__all__ = ["Parameters", "StepParameters", "check_depth", "parameters_of"]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The value of `parameters` in config.json, without the values of `configuration.secrets`."""

    value: dict[str, Any]
    text: str | None = None
    """The original text; None: the parameters were given as an object, of which Kubernetes keeps no text."""


@dataclass(frozen=True, slots=True)
class StepParameters:
    """What one step of a run finds in config.json, with the values of Secrets beside it."""

    path: str
    """Path of their field, for messages: `spec.configuration`, `spec.processors.before[1]`."""
    component: Component | None
    """Component of the step; None: the run names an image."""
    parameters: dict[str, Any] = field(repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Values to insert into the parameters, by path. The paths were checked."""
    image_secrets: Collection[str] = field(default=(), repr=False)
    """Secret values of the image parameters, which belong to the Component."""
    row: str | None = None
    """Configuration row; only the component of the run has one."""


def parameters_of(configuration: Configuration, referenced: str | None = None) -> Parameters:
    """The parameters of a run, from the field that is set.

    Args:
        configuration: configuration of the run.
        referenced: the text that `parametersFrom` refers to; None if `parametersFrom` is not set.

    Raises:
        UserError: (InvalidSpec) several fields are set, or the parameters are invalid; the message names the field.
    """
    sources = {
        "parameters": bool(configuration.parameters),
        "parametersText": configuration.parameters_text is not None,
        "parametersFrom": configuration.parameters_from is not None,
    }
    names = [name for name, is_given in sources.items() if is_given]
    if len(names) > 1:
        raise UserError(
            f"spec.configuration: found {' and '.join(names)}; expected at most one of {', '.join(sources)}",
            Reason.INVALID_SPEC,
        )
    if configuration.parameters_text is not None:
        return _read(configuration.parameters_text, "spec.configuration.parametersText")
    if configuration.parameters_from is not None:
        ref = configuration.parameters_from.config_map_key_ref
        where = f"spec.configuration.parametersFrom: key `{ref.key}` of ConfigMap `{ref.name}`"
        return _read(referenced or "", where)
    check_depth(configuration.parameters, "spec.configuration.parameters")
    return Parameters(configuration.parameters)


def check_depth(value: Any, name: str) -> None:
    """Refuse a value that is nested too deeply.

    Args:
        value: any JSON.
        name: path of its field.

    Raises:
        UserError: (InvalidSpec) the value is nested too deeply; the message names the field.
    """
    if is_too_deep(value):
        raise UserError(
            f"{name}: nested more than {MAX_DEPTH} levels deep, which not every reader of JSON accepts",
            Reason.INVALID_SPEC,
            advice="Give deep structures as text.",
        )


def _read(text: str, where: str) -> Parameters:
    text = trimmed(text)
    try:
        return Parameters(parse_object(text), text)
    except ValueError as error:
        raise UserError(f"{where}: {error}", Reason.INVALID_SPEC) from error
