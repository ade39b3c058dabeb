"""The parameters of a run: one object, from one of the three fields that can hold it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from componentrun.errors import Reason, UserError
from componentrun.wire.documents import MAX_DEPTH, is_too_deep
from componentrun.wire.jsontext import parse_object, trimmed

if TYPE_CHECKING:
    from componentrun.api.componentrun import Configuration

__all__ = ["Parameters", "check_depth", "parameters_of"]


@dataclass(frozen=True, slots=True)
class Parameters:
    """What becomes `parameters` in config.json, without the values of `configuration.secrets`."""

    value: dict[str, Any]
    text: str | None = None
    """As its author wrote it; None: it was given as an object, of which Kubernetes keeps no text."""


def parameters_of(configuration: Configuration, referenced: str | None = None) -> Parameters:
    """The parameters, whichever field gives them.

    Args:
        configuration: of the run.
        referenced: what `parametersFrom` refers to; None where it is not set.

    Raises:
        UserError: (InvalidSpec) naming the field.
    """
    given = {
        "parameters": bool(configuration.parameters),
        "parametersText": configuration.parameters_text is not None,
        "parametersFrom": configuration.parameters_from is not None,
    }
    found = [name for name, is_given in given.items() if is_given]
    if len(found) > 1:
        raise UserError(
            f"spec.configuration: found {' and '.join(found)}; expected at most one of {', '.join(given)}",
            Reason.INVALID_SPEC,
        )
    if configuration.parameters_text is not None:
        return _read(configuration.parameters_text, "spec.configuration.parametersText")
    if configuration.parameters_from is not None:
        ref = configuration.parameters_from.config_map_key_ref
        where = f"spec.configuration.parametersFrom: key `{ref.key}` of ConfigMap `{ref.name}`"
        return _read(referenced or "", where)
    check_depth(configuration.parameters, "parameters")
    return Parameters(configuration.parameters)


def check_depth(value: Any, name: str) -> None:
    """Refuse what is nested too deep.

    Raises:
        UserError: (InvalidSpec) naming the field.
    """
    if is_too_deep(value):
        raise UserError(
            f"spec.configuration.{name}: nested more than {MAX_DEPTH} levels deep, which not every reader of JSON"
            " bears: give deep structures as text",
            Reason.INVALID_SPEC,
        )


def _read(text: str, where: str) -> Parameters:
    text = trimmed(text)
    try:
        return Parameters(parse_object(text), text)
    except ValueError as error:
        raise UserError(f"{where}: {error}", Reason.INVALID_SPEC) from error
