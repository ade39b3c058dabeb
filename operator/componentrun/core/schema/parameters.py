"""Schemas of a Component, parameters of a run, and what a failed check means for the run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from componentrun.core.schema.documents import CheckRequest, CheckResult, Schema
from componentrun.errors import Reason, UserError
from componentrun.wire.secretpaths import keys_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.api.component import Component, ComponentConfiguration

__all__ = ["SCHEMA", "outcome", "request_of", "schemas_of"]

SCHEMA = "spec.configuration.schema"
_ROW_SCHEMA = "spec.configuration.rowSchema"


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


def request_of(
    component: Component | None, row: str | None, parameters: dict[str, Any], secrets: Mapping[str, str]
) -> CheckRequest | None:
    """The check of a run's parameters; None if nothing is to be checked.

    Args:
        component: the Component of the run, if it has one.
        row: the configuration row of the run.
        parameters: its parameters.
        secrets: values of `configuration.secrets`, by path. The paths were checked.
    """
    configuration = component.spec.configuration if component is not None else None
    if configuration is None or configuration.validation == "Off":
        return None
    schemas = schemas_of(configuration, with_row=row is not None)
    if not schemas:
        return None
    hidden = tuple(tuple(keys_of(path)) for path in secrets)
    return CheckRequest(schemas, _with_secrets(parameters, secrets), hidden=hidden)


def outcome(component: Component, result: CheckResult) -> tuple[str, ...]:
    """The warnings of a run whose parameters were checked.

    Raises:
        UserError: (InvalidConfiguration) the parameters do not match, or a schema can't be used, and the Component
            says that runs must match.
    """
    problem = _problem(component, result)
    if problem is None:
        return ()
    configuration = component.spec.configuration
    if configuration is not None and configuration.validation == "Enforce":
        raise problem
    return (problem.message,)


def _problem(component: Component, result: CheckResult) -> UserError | None:
    name = f"{component.KIND} `{component.metadata.name}`"
    if result.unusable:
        return UserError(
            f"the parameters can't be checked: {name}: {result.unusable}",
            Reason.INVALID_CONFIGURATION,
            advice="Have the schema of the component corrected, or its `spec.configuration.validation` set to `Warn`.",
        )
    if not result.mismatches:
        return None
    count = len(result.mismatches) + result.more
    more = f"; and {result.more} more" if result.more else ""
    return UserError(
        f"spec.configuration: the parameters do not match the schema of {name} ({count} "
        f"{'problem' if count == 1 else 'problems'}): {'; '.join(map(str, result.mismatches))}{more}",
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
