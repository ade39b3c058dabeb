"""Processors of an exported configuration, as `spec.processors` of a run. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from componentrun.api.processors import Position
from componentrun.catalogue.imported.naming import component_name
from componentrun.wire.jsontext import kind_of
from componentrun.wire.phpvalues import EMPTY, list_at, object_at

if TYPE_CHECKING:
    from componentrun.wire.phpvalues import Tell

__all__ = ["processors_of"]

_PARTS: Final = frozenset({"definition", "parameters"})


def processors_of(processors: dict[str, Any], tell: Tell) -> dict[str, list[dict[str, Any]]]:
    """The processors of a run.

    Args:
        processors: `processors` of the configuration.
        tell: reports what is left out.
    """
    positions = get_args(Position)
    result = {}
    for stage, value in processors.items():
        path = f"processors.{stage}"
        if stage not in positions:
            tell(path, f"expected one of {', '.join(positions)}")
            continue
        found = (_step(item, f"{path}[{number}]", tell) for number, item in enumerate(list_at(value, path, tell)))
        steps = [step for step in found if step]
        if steps:
            result[stage] = steps
    return result


def _step(item: Any, path: str, tell: Tell) -> dict[str, Any]:
    """One processor; empty if it names no component."""
    step = object_at(item, path, tell)
    definition = object_at(step.get("definition"), f"{path}.definition", tell)
    component, tag = definition.get("component"), definition.get("tag")
    if not isinstance(component, str) or not component:
        tell(f"{path}.definition.component", f"found {kind_of(component)}, expected the id of a component")
        return {}
    for key in step.keys() - _PARTS:
        if step[key] not in EMPTY:
            tell(f"{path}.{key}", "a processor has no such setting")
    parameters = object_at(step.get("parameters"), f"{path}.parameters", tell)
    return {
        "component": component_name(component),
        **({"tag": tag} if isinstance(tag, str) and tag else {}),
        **({"parameters": parameters} if parameters else {}),
    }
