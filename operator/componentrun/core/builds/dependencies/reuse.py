"""What a build does about its dependencies: install them, or use the layer of an earlier build again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.core.builds.dependencies.layer import DependencyInputs, DependencyLayer
from componentrun.core.builds.dependencies.pins import are_pinned
from componentrun.wire.documents import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from componentrun.core.builds.conventions import Recipe
    from componentrun.core.builds.identity import BuildInputs

__all__ = ["LEFT_TO_THE_CODE", "DependencyPlan", "dump_plan", "parse_plan", "plan_dependencies"]


@dataclass(frozen=True, slots=True)
class DependencyPlan:
    """What a build does about its dependencies."""

    key: str = ""
    """Key of their layer. Empty: the layer can't be used again, because it may depend on the code."""
    layer: DependencyLayer | None = None
    """The layer of an earlier build. None: they are installed, if there are any."""

    @property
    def is_apart(self) -> bool:
        """Whether they are installed before the code is there, beside nothing but the files that name them."""
        return bool(self.key) and self.layer is None


LEFT_TO_THE_CODE: Final = DependencyPlan()
"""There are none, or they are installed beside the code."""


def plan_dependencies(
    recipe: Recipe,
    files: Collection[str],
    contents: Mapping[str, bytes],
    inputs: BuildInputs,
    known: Iterable[DependencyLayer],
) -> DependencyPlan:
    """What a build does about its dependencies.

    Args:
        recipe: how the image is made.
        files: paths of all files of the repository.
        contents: contents of those files that `recipe.dependencies` names. One that is missing is a link, or too large.
        inputs: everything that goes into the build.
        known: layers that the repository of the image may have.
    """
    dependencies = recipe.dependencies
    if dependencies is None or any(name not in contents for name in dependencies.files):
        return LEFT_TO_THE_CODE
    is_in_repository = any(f"{file}/".startswith(f"{dependencies.folder}/") for file in files)
    if is_in_repository or not are_pinned(_texts(contents, dependencies.files), files):
        return LEFT_TO_THE_CODE
    key = DependencyInputs(
        parent=inputs.parent,
        platform=inputs.platform,
        folder=inputs.folder,
        files=tuple((name, hashlib.sha256(contents[name]).hexdigest()) for name in sorted(dependencies.files)),
        commands=dependencies.commands,
        arguments=inputs.arguments,
        tools=inputs.tools,
    ).key
    return DependencyPlan(key, next((layer for layer in known if layer.key == key), None))


def _texts(contents: Mapping[str, bytes], names: Iterable[str]) -> dict[str, str]:
    return {name: contents[name].decode("utf-8", "replace") for name in names}


def dump_plan(plan: DependencyPlan) -> bytes:
    """The plan as JSON, for the step that pushes."""
    return to_json(plan).encode()


def parse_plan(content: bytes) -> DependencyPlan:
    """The plan that `dump_plan` wrote."""
    return from_json(DependencyPlan, content)
