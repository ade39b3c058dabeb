"""Objects of the API server as models, which take a while to load, so they are loaded when they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from componentrun.client.errors import EnvironmentFault

if TYPE_CHECKING:
    from componentrun.api.common import ApiModel
    from componentrun.api.componentrun import ComponentRun
    from componentrun.client.kubernetes.cluster import JsonObject

__all__ = ["Model", "parse_run", "parsed"]

Model = TypeVar("Model", bound="ApiModel")


def parsed(kind: type[Model], raw: JsonObject, namespace: str = "") -> Model:
    """Parse an object.

    Args:
        kind: its model.
        raw: the object.
        namespace: named in the message, for objects of other namespaces than the command's own.

    Raises:
        EnvironmentFault: this release can't read it.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - takes a while to load

    try:
        return kind.model_validate(_without_nulls(raw))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        place = f" in namespace `{namespace}`" if namespace else ""
        raise EnvironmentFault(
            f"{kind.__name__} `{raw['metadata'].get('name')}`{place} has a `{where}` that this release does not "
            f"understand: {first['msg']}",
            "Use the release of `componentrun` that the operator has. `componentrun doctor` shows both.",
        ) from error


def parse_run(raw: JsonObject) -> ComponentRun:
    """Parse a run.

    Raises:
        EnvironmentFault: this release can't read it.
    """
    from componentrun.api.componentrun import ComponentRun  # noqa: PLC0415 - the models take a while to load

    return parsed(ComponentRun, raw)


def _without_nulls(raw: JsonObject) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if value is not None}
