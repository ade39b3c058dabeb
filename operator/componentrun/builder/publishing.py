"""The step after the commands of a build: the folder becomes layers, which are pushed with the registry's login.

The commands may have changed the folder, and nothing else that this step reads.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.builder.folder import entries_of
from componentrun.builder.pushing import LayerFile, Pushed, layer_file, pull_parent, push
from componentrun.core.builds.conventions import Recipe, parse_recipe
from componentrun.core.builds.dependencies.layer import DependencyLayer
from componentrun.core.builds.dependencies.reuse import parse_plan
from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.exchange import PLAN_FILE, RECIPE_FILE
from componentrun.core.builds.image import Changes, NewLayer
from componentrun.core.builds.layer import Written
from componentrun.core.images.pullsecrets import logins_for
from componentrun.core.images.reference import parse_repository
from componentrun.registry.client import RegistryClient
from componentrun.registry.errors import ImageError
from componentrun.registry.upload import RegistryUploader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from componentrun.core.builds.dependencies.reuse import DependencyPlan
    from componentrun.core.builds.identity import BuildInputs, Variables
    from componentrun.core.images.pullsecrets import PullSecret
    from componentrun.registry.settings import RegistrySettings

__all__ = ["Published", "publish", "refused_as"]

_DEPENDENCIES: Final = "componentrun: dependencies"
_CODE: Final = "componentrun: code"
"""Layers, as the history of the image names them."""
_LABEL_PREFIX: Final = "org.opencontainers.image."


class Published(NamedTuple):
    """What a build has pushed."""

    pushed: Pushed
    dependencies: DependencyLayer | None
    """The layer of the dependencies, if later builds can use it again."""
    were_reused: bool
    """Whether it is that of an earlier build."""


async def publish(
    inputs: BuildInputs,
    pulls: list[PullSecret],
    pushes: list[PullSecret],
    code: Path,
    control: Path,
    settings: RegistrySettings,
) -> Published:
    """Push the image.

    The parent is read with the logins of whoever has asked for the build: that of the platform may read the images of
    others, which would make any image a parent.

    Args:
        inputs: everything that goes into the build.
        pulls: logins for the parent image.
        pushes: logins for the target.
        code: the folder after the commands have run.
        control: the folder that `prepare` has written.
        settings: how to reach registries.

    Raises:
        BuildError: something in the folder, or the parent, can't be part of an image; or a registry refuses.
        LostLayerError: the layer of the dependencies is not in the registry any more.
        RegistryAwayError: a registry was away in all attempts.
        OSError: a folder can't be read, or the disk is full.
    """
    recipe = parse_recipe((control / RECIPE_FILE).read_bytes())
    plan = parse_plan((control / PLAN_FILE).read_bytes())
    name, _, digest = inputs.parent.partition("@")
    source, target = parse_repository(name, "parent"), parse_repository(inputs.target, "target")
    logins = logins_for(target, pushes)
    async with (
        RegistryClient(settings) as client,
        RegistryUploader(
            settings,
            target,
            logins[0] if logins else None,
            mounted=source if source.host == target.host else None,
        ) as uploader,
    ):
        with refused_as(BuildProblem.PARENT_REFUSED):
            parent = await pull_parent(client, source, digest, inputs.platform, logins_for(source, pulls))
        with ExitStack() as stack, refused_as(BuildProblem.PUSH_REFUSED):
            layers = _layers(stack, recipe, plan, code, inputs.folder)
            changes = Changes(recipe.entrypoint, inputs.folder, recipe.environment, _labels(inputs))
            pushed = await push(uploader, client, parent, layers, changes, inputs.name)
    # If another build was faster, the image may have its layer.
    dependencies = None if pushed.was_there else _dependencies(layers, plan)
    return Published(pushed, dependencies, were_reused=plan.layer is not None)


@contextmanager
def refused_as(problem: BuildProblem) -> Iterator[None]:
    """Turn the refusal of a registry into an error of the build, which says whose registry it was."""
    try:
        yield
    except ImageError as error:
        raise BuildError(problem, error.summary, error.advice) from error


def _layers(stack: ExitStack, recipe: Recipe, plan: DependencyPlan, code: Path, folder: str) -> list[LayerFile]:
    """A layer of dependencies, if there are any, and one of everything else."""
    below = recipe.dependencies.folder if recipe.dependencies is not None else ""
    if plan.layer is not None:
        known = Written(plan.layer.digest, plan.layer.size, plan.layer.diff_id)
        rest = entries_of(code, without=below)
        code_layer = stack.enter_context(layer_file(rest, folder, _CODE, hides_below=False))
        return [LayerFile(NewLayer(known, _DEPENDENCIES), None), code_layer]
    # A file of requirements may be empty; and what is a link may lead anywhere.
    has_dependencies = below and (code / below).is_dir() and not (code / below).is_symlink()
    layers = []
    if has_dependencies:
        layers.append(stack.enter_context(layer_file(entries_of(code, below), folder, _DEPENDENCIES, hides_below=True)))
    rest = entries_of(code, without=below if has_dependencies else "")
    layers.append(stack.enter_context(layer_file(rest, folder, _CODE, hides_below=not layers)))
    return layers


def _dependencies(layers: list[LayerFile], plan: DependencyPlan) -> DependencyLayer | None:
    """The layer of the dependencies, if later builds can use it again."""
    for item in layers:
        written = item.layer.written
        if plan.key and item.layer.created_by == _DEPENDENCIES:
            return DependencyLayer(plan.key, written.digest, written.size, written.diff_id)
    return None


def _labels(inputs: BuildInputs) -> Variables:
    name, _, digest = inputs.parent.partition("@")
    return (
        (f"{_LABEL_PREFIX}base.digest", digest),
        (f"{_LABEL_PREFIX}base.name", name),
        (f"{_LABEL_PREFIX}revision", inputs.commit),
        (f"{_LABEL_PREFIX}source", inputs.url),
    )
