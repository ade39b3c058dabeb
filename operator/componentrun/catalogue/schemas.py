"""Findings about configuration schemas, and about default configurations that do not match them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from componentrun.api.component import ComponentConfiguration
from componentrun.catalogue.entry import Finding
from componentrun.core.schema.documents import CheckRequest
from componentrun.core.schema.parameters import schemas_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    for entry in catalogue.entries:
        try:
            configuration = ComponentConfiguration.model_validate(entry.spec.get("configuration") or {})
        except ValidationError:
            continue  # another rule reports it
        severity = _SEVERITIES.get(configuration.validation)
        if severity is not None:
            yield from _findings(entry, configuration, severity, check)


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
