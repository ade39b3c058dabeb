"""Findings about configuration schemas, and about parameters that do not match them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from componentrun.api.component import ComponentConfiguration
from componentrun.api.processors import Processors
from componentrun.catalogue.entry import Finding
from componentrun.core.schema.documents import CheckRequest
from componentrun.core.schema.parameters import schemas_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from componentrun.catalogue.entry import Catalogue, CatalogueEntry, Severity
    from componentrun.core.schema.documents import CheckResult

    Check = Callable[[CheckRequest], CheckResult]

__all__ = ["schema_findings"]

_SEVERITIES: Final[dict[str, Severity]] = {"Enforce": "error", "Warn": "warning"}
"""By `validation`. With `Off`, nothing is checked."""
_ROOT: Final = "spec.configuration.default"
_MISSING: Final = "nothing"
"""What a check found for a required key that is not there. A default is only a start, so it may lack values."""


def schema_findings(catalogue: Catalogue, check: Check) -> Iterator[Finding]:
    """Schemas that can't be used, and defaults that do not match. Errors if runs are refused for it."""
    configurations: dict[str, ComponentConfiguration] = {}
    for entry in catalogue.entries:
        configuration = _configuration(entry)
        severity = _SEVERITIES.get(configuration.validation) if configuration else None
        if configuration is None or severity is None:
            configurations.pop(entry.name, None)  # of a ClusterComponent, which a Component hides
            continue
        configurations[entry.name] = configuration
        yield from _findings(entry, configuration, severity, check)
    for entry in catalogue.entries:
        yield from _processor_findings(entry, configurations, check)


def _configuration(entry: CatalogueEntry) -> ComponentConfiguration | None:
    """What the entry says about parameters; None if it is malformed, which another rule reports."""
    try:
        return ComponentConfiguration.model_validate(entry.spec.get("configuration") or {})
    except ValidationError:
        return None


def _processor_findings(
    entry: CatalogueEntry, configurations: Mapping[str, ComponentConfiguration], check: Check
) -> Iterator[Finding]:
    """Parameters of the entry's processors that do not match the schemas of these processors."""
    try:
        processors = Processors.model_validate(entry.spec.get("processors") or {})
    except ValidationError:
        return  # another rule reports it
    for position, steps in (("before", processors.before), ("after", processors.after)):
        for i, step in enumerate(steps):
            configuration = configurations.get(step.component)
            schemas = schemas_of(configuration, with_row=False) if configuration else ()
            if configuration is None or not schemas:
                continue
            root = f"spec.processors.{position}[{i}].parameters"
            # What is wrong with the schemas themselves is a finding about the processor.
            for mismatch in check(CheckRequest(schemas, step.parameters, root=root)).mismatches:
                severity = _SEVERITIES[configuration.validation]
                message = f"{mismatch}, as Component `{step.component}` requires. Correct the parameters"
                yield Finding(severity, "ProcessorParameters", entry.title, message)


def _findings(
    entry: CatalogueEntry, configuration: ComponentConfiguration, severity: Severity, check: Check
) -> Iterator[Finding]:
    usable = True
    for schema in schemas_of(configuration):
        unusable = check(CheckRequest((schema,), None)).unusable
        if unusable:
            usable = False
            yield Finding(severity, "UnusableSchema", entry.title, f"{unusable}. Correct the schema")
    schemas = schemas_of(configuration, with_row=False)
    if not usable or not schemas or configuration.default is None:
        return
    result = check(CheckRequest(schemas, configuration.default, root=_ROOT))
    if result.unusable:
        yield Finding(severity, "UnusableSchema", entry.title, f"{result.unusable}. Correct the schema")
    for mismatch in result.mismatches:
        if mismatch.found != _MISSING:
            message = f"{mismatch}. Correct the default or the schema"
            yield Finding(severity, "DefaultMismatch", entry.title, message)
