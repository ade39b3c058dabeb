"""Configuration schemas and default configurations of an imported component. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from componentrun.catalogue.dialects import normalized_schema
from componentrun.wire.phpvalues import EMPTY, object_at

if TYPE_CHECKING:
    from componentrun.catalogue.imported.report import ImportedComponent

__all__ = ["set_configuration"]

_CONTENT: Final = frozenset(
    {"authorization", "image_parameters", "parameters", "processors", "runtime", "storage", "variables_id"}
)
"""Keys of a configuration's content."""
_VALIDATION: Final = "Warn"
"""Imported schemas were written for a form and never used to refuse a configuration, so they begin with warnings."""


def set_configuration(component: ImportedComponent, *, schema: Any, row_schema: Any, default: Any) -> None:
    """Set `configuration`: the schemas without their dialects, and the default parameters."""
    configuration: dict[str, Any] = {}
    for key, source, value in (
        ("schema", "configurationSchema", schema),
        ("rowSchema", "configurationRowSchema", row_schema),
    ):
        if value in EMPTY:
            continue
        normal, changes = normalized_schema(value)
        for change in changes:
            component.report.changed(component.subject, f"{source} {change}")
        if normal:
            # As text, which Kubernetes keeps: forms depend on the order of keys.
            configuration[key] = json.dumps(normal, ensure_ascii=False, indent=2)
    if parameters := _default_parameters(component, default):
        configuration["default"] = parameters
    if "schema" in configuration or "rowSchema" in configuration:
        configuration["validation"] = _VALIDATION
    component.set("configuration", configuration)


def _default_parameters(component: ImportedComponent, default: Any) -> dict[str, Any]:
    """The parameters in `emptyConfiguration`, which is a whole configuration or only its parameters."""
    content = object_at(default, "emptyConfiguration", component.tell)
    if not content.keys() & _CONTENT:
        return content
    for key, value in content.items():
        if key != "parameters" and value not in EMPTY:
            component.tell(f"emptyConfiguration.{key}", "a default configuration of a Component holds parameters only")
    return object_at(content.get("parameters"), "emptyConfiguration.parameters", component.tell)
