"""Findings about Components that name other Components: replacements and processors. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun.catalogue.entry import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.catalogue.entry import Catalogue, JsonObject

__all__ = ["processor_findings", "replacement_findings"]

_PROCESSOR: Final = "processor"
_POSITIONS: Final = ("before", "after")


def replacement_findings(catalogue: Catalogue) -> Iterator[Finding]:
    """Replacements of deprecated Components that are not there, or that replace each other."""
    specs = {entry.name: entry.spec for entry in catalogue.entries}
    for entry in catalogue.entries:
        name = _replacement(entry.spec)
        if name and name not in specs:
            message = f"`deprecated.replacedBy` is `{name}`, which is not in the catalogue. Add it, or name another one"
            yield Finding("warning", "ReplacementMissing", entry.title, message)
            continue
        seen = [entry.name]
        while name in specs and name not in seen:
            seen.append(name)
            name = _replacement(specs[name])
        if name and name in seen:
            message = f"its replacements lead in a circle: {' -> '.join([*seen, name])}. Name one that stays"
            yield Finding("error", "ReplacementCircle", entry.title, message)


def processor_findings(catalogue: Catalogue) -> Iterator[Finding]:
    """Processors of Components that are no processors, not meant for their position, or not there."""
    specs = {entry.name: entry.spec for entry in catalogue.entries}
    for entry in catalogue.entries:
        for path, name, position in _steps(entry.spec):
            spec = specs.get(name)
            if spec is None:
                message = f"`{path}` is `{name}`, which is not in the catalogue. Add it, or name another one"
                yield Finding("warning", "ProcessorMissing", entry.title, message)
            elif spec.get("type") != _PROCESSOR:
                found = f"the type `{spec['type']}`" if spec.get("type") else "no type"
                message = f"`{path}`: Component `{name}` has {found}, expected `{_PROCESSOR}`. Name another one"
                yield Finding("error", "NotAProcessor", entry.title, message)
            elif not _may_run(spec, position):
                message = (
                    f"`{path}`: Component `{name}` can't run `{position}` the component. Move it, or name another one"
                )
                yield Finding("error", "ProcessorPosition", entry.title, message)


def _may_run(spec: JsonObject, position: str) -> bool:
    positions = _object(spec.get("processor")).get("positions", _POSITIONS)
    return not isinstance(positions, list) or position in positions


def _replacement(spec: JsonObject) -> str:
    return str(_object(spec.get("deprecated")).get("replacedBy") or "")


def _steps(spec: JsonObject) -> Iterator[tuple[str, str, str]]:
    """Path, Component and position of each processor."""
    processors = _object(spec.get("processors"))
    for position in _POSITIONS:
        steps = processors.get(position)
        for i, step in enumerate(steps if isinstance(steps, list) else ()):
            name = _object(step).get("component")
            if isinstance(name, str):
                yield f"spec.processors.{position}[{i}].component", name, position


def _object(value: Any) -> JsonObject:
    """The value if it is an object; another rule reports anything else."""
    return value if isinstance(value, dict) else {}
