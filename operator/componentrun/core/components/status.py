"""The status of a Component: whether runs can use it. Follows the Kubernetes API conventions, so that kstatus works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from componentrun.api.componentrun import ComponentRun
from componentrun.core.components.deprecation import deprecation_message, is_withdrawn
from componentrun.core.images.channels import choose_image, required_key
from componentrun.core.images.moved import moved_message
from componentrun.core.lifecycle.conditions import with_condition
from componentrun.core.request.resolve import resolve
from componentrun.core.schema.documents import CheckRequest, CheckResult
from componentrun.core.schema.parameters import schemas_of
from componentrun.errors import Reason, UserError
from componentrun.wire.documents import MAX_DEPTH, is_too_deep

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.component import Component
    from componentrun.api.componentstatus import ComponentStatus

__all__ = [
    "CONFIGURATION_VALID",
    "DEPRECATED",
    "READY",
    "TAG_MOVED",
    "check_request",
    "default_request",
    "status_of",
]

READY: Final = "Ready"
CONFIGURATION_VALID: Final = "ConfigurationValid"
DEPRECATED: Final = "Deprecated"
TAG_MOVED: Final = "TagMoved"
_OURS: Final = frozenset({READY, CONFIGURATION_VALID, DEPRECATED, TAG_MOVED})


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a condition says."""

    status: Literal["True", "False"]
    reason: str
    message: str


def check_request(component: Component) -> CheckRequest | None:
    """The check of a Component's schemas and of its default configuration; None if it has no schema."""
    configuration = component.spec.configuration
    schemas = schemas_of(configuration) if configuration is not None else ()
    if configuration is None or not schemas:
        return None
    return CheckRequest(schemas, None, root="spec.configuration.default")


def default_request(component: Component) -> CheckRequest | None:
    """The check of a Component's default configuration; None if there is nothing to check."""
    configuration = component.spec.configuration
    if configuration is None or configuration.default is None or is_too_deep(configuration.default):
        return None
    schemas = schemas_of(configuration, with_row=False)
    return CheckRequest(schemas, configuration.default, root="spec.configuration.default") if schemas else None


def status_of(
    component: Component,
    schemas: CheckResult,
    default: CheckResult,
    now: datetime,
    *,
    replacement_exists: bool,
) -> ComponentStatus:
    """The status of a Component. Conditions of other types, and other fields, are kept.

    Args:
        component: the Component.
        schemas: the result of `check_request`; an empty one if it has no schema.
        default: the result of `default_request`; an empty one if there was nothing to check.
        now: the time.
        replacement_exists: whether the component that replaces it exists.
    """
    findings = {
        CONFIGURATION_VALID: _configuration(component, schemas, default),
        DEPRECATED: _deprecated(component, now, replacement_exists=replacement_exists),
        TAG_MOVED: _moved(component),
    }
    findings[READY] = _ready(component, schemas, now, findings[DEPRECATED])
    generation = component.metadata.generation
    conditions = tuple(
        item for item in component.status.conditions if item.type not in _OURS or findings[item.type] is not None
    )
    for kind, finding in findings.items():
        if finding is not None:
            conditions = with_condition(
                conditions, kind, finding.status, finding.reason, finding.message, generation=generation, now=now
            )
    conditions = tuple(
        item.model_copy(update={"observed_generation": generation}) if item.type in _OURS else item
        for item in conditions
    )
    return component.status.model_copy(update={"observed_generation": generation, "conditions": conditions})


def _ready(component: Component, schemas: CheckResult, now: datetime, deprecated: _Finding | None) -> _Finding:
    configuration = component.spec.configuration
    problem = _problem(component)
    if problem is not None:
        return _Finding("False", "InvalidSpec", problem)
    if schemas.unusable and configuration is not None and configuration.validation == "Enforce":
        message = f"Runs are refused, because their parameters can't be checked: {schemas.unusable}."
        return _Finding("False", "SchemaInvalid", message)
    if deprecated is not None and is_withdrawn(component, now):
        return _Finding("False", "Withdrawn", f"New runs are refused: {deprecated.message}")
    return _Finding("True", "Ready", "Runs can use the component.")


def _problem(component: Component) -> str | None:
    """Why each run of the Component would be refused, if there is such a reason in its spec."""
    metadata = {"name": "check", "namespace": component.metadata.namespace}
    run = ComponentRun.model_validate({"metadata": metadata, "spec": {"component": component.metadata.name}})
    try:
        required_key(component)
        if component.spec.channels:
            choose_image(run.spec, component)
        resolve(run, component, "")
    except UserError as error:
        return error.message if error.reason is Reason.INVALID_SPEC else None
    return None


def _configuration(component: Component, schemas: CheckResult, default: CheckResult) -> _Finding | None:
    if component.spec.configuration is None:
        return None
    unusable = schemas.unusable or default.unusable
    if unusable:
        return _Finding("False", "SchemaInvalid", f"{unusable}.")
    if is_too_deep(component.spec.configuration.default):
        return _Finding("False", "DefaultInvalid", f"The default is nested more than {MAX_DEPTH} levels deep.")
    if default.mismatches:
        more = f"; and {default.more} more" if default.more else ""
        shown = "; ".join(map(str, default.mismatches))
        return _Finding("False", "DefaultInvalid", f"The default does not match the schema: {shown}{more}.")
    return _Finding("True", "Valid", "The schemas can be used, and the default matches them.")


def _deprecated(component: Component, now: datetime, *, replacement_exists: bool) -> _Finding | None:
    deprecated = component.spec.deprecated
    if deprecated is None:
        return None
    message = f"{deprecation_message(component, replacement_exists=replacement_exists)}."
    if is_withdrawn(component, now):
        return _Finding("True", "Withdrawn", message)
    if deprecated.replaced_by is not None and not replacement_exists:
        return _Finding("True", "ReplacementMissing", message)
    return _Finding("True", "Deprecated", message)


def _moved(component: Component) -> _Finding | None:
    message = moved_message(component)
    return None if message is None else _Finding("True", "TagMoved", message)
