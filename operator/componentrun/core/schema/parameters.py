"""Schemas of Components, parameters of a run and its processors, and what a failed check means for the run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from componentrun.core.schema.documents import MOST_SHOWN, CheckRequest, CheckResult, Schema
from componentrun.errors import Reason, UserError, together
from componentrun.wire.secretpaths import keys_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from componentrun.api.component import Component, ComponentConfiguration
    from componentrun.core.request.parameters import StepParameters

__all__ = ["SCHEMA", "ParameterCheck", "check_of", "outcome", "schemas_of"]

SCHEMA = "spec.configuration.schema"
_ROW_SCHEMA = "spec.configuration.rowSchema"


@dataclass(frozen=True, slots=True)
class ParameterCheck:
    """A check of the parameters of one step of a run."""

    component: Component
    """Whose schemas they are."""
    path: str
    """Path of the field of the parameters, for messages."""
    request: CheckRequest


def schemas_of(configuration: ComponentConfiguration, *, with_row: bool = True) -> tuple[Schema, ...]:
    """The schemas of a Component.

    Args:
        configuration: `spec.configuration` of the Component.
        with_row: whether `rowSchema` is included.
    """
    documents = {SCHEMA: configuration.schema_, _ROW_SCHEMA: configuration.row_schema if with_row else None}
    return tuple(
        Schema(name, document if isinstance(document, str) else json.dumps(document, ensure_ascii=False))
        for name, document in documents.items()
        if document is not None
    )


def check_of(step: StepParameters) -> ParameterCheck | None:
    """The check of the parameters of a step; None if nothing is to be checked."""
    configuration = step.component.spec.configuration if step.component is not None else None
    if step.component is None or configuration is None or configuration.validation == "Off":
        return None
    schemas = schemas_of(configuration, with_row=step.row is not None)
    if not schemas:
        return None
    hidden = tuple(tuple(keys_of(path)) for path in step.secrets)
    request = CheckRequest(schemas, _with_secrets(step.parameters, step.secrets), hidden=hidden)
    return ParameterCheck(step.component, step.path, request)


def outcome(answers: Sequence[tuple[ParameterCheck, CheckResult]]) -> tuple[str, ...]:
    """The warnings of a run whose parameters were checked, with at most `MOST_SHOWN` mismatches of all its steps.

    Raises:
        UserError: (InvalidConfiguration) the parameters of a step do not match, or a schema can't be used, and its
            Component says that runs must match. The message has the problems of all such steps.
    """
    refusals = _problems(answer for answer in answers if _must_match(answer[0].component))
    if refusals:
        raise together(refusals)
    return tuple(error.message for error in _problems(answers))


def _must_match(component: Component) -> bool:
    configuration = component.spec.configuration
    return configuration is not None and configuration.validation == "Enforce"


def _problems(answers: Iterable[tuple[ParameterCheck, CheckResult]]) -> list[UserError]:
    found, room = [], MOST_SHOWN
    for check, result in answers:
        problem = _problem(check, result, room)
        if problem is not None:
            found.append(problem)
            room -= min(len(result.mismatches), room)
    return found


def _problem(check: ParameterCheck, result: CheckResult, room: int) -> UserError | None:
    name = f"{check.component.KIND} `{check.component.metadata.name}`"
    if result.unusable:
        return UserError(
            f"{check.path}: the parameters can't be checked: {name}: {result.unusable}",
            Reason.INVALID_CONFIGURATION,
            advice="Have the schema of the component corrected, or its `spec.configuration.validation` set to `Warn`.",
        )
    if not result.mismatches:
        return None
    count = len(result.mismatches) + result.more
    told = [str(mismatch) for mismatch in result.mismatches[:room]]
    if count > len(told):
        told.append(f"and {count - len(told)} more")
    return UserError(
        f"{check.path}: the parameters do not match the schema of {name} ({count} "
        f"{'problem' if count == 1 else 'problems'}): {'; '.join(told)}",
        Reason.INVALID_CONFIGURATION,
        advice="Correct the parameters.",
    )


def _with_secrets(parameters: dict[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """A copy of the parameters with the secrets inserted, as stage-in does."""
    if not secrets:
        return parameters
    result = json.loads(json.dumps(parameters))
    for path, value in secrets.items():
        *parents, last = keys_of(path)
        place = result
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
        place[int(last) if isinstance(place, list) else last] = value
    return dict(result)
