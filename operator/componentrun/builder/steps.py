"""The steps before and after the commands of a build.

Before: the repository is fetched with the git login, and the script for the parent image is written. After: the folder
becomes layers, which are pushed with the registry's login. The commands run in between without either of them. They
may change the folder, and nothing else that the last step reads.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.builder.folder import entries_of
from componentrun.builder.pushing import LayerFile, Pushed, layer_file, pull_parent, push
from componentrun.core.builds.conventions import Recipe, choose_recipe, dump_recipe, parse_recipe
from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.exchange import RECIPE_FILE, SCRIPT_FILE
from componentrun.core.builds.image import Changes
from componentrun.core.builds.script import build_script, steps_of
from componentrun.core.builds.source import parse_git_url
from componentrun.core.images.pullsecrets import logins_for
from componentrun.core.images.reference import parse_repository
from componentrun.git.fetch import fetch
from componentrun.registry.client import RegistryClient
from componentrun.registry.errors import ImageError
from componentrun.registry.upload import RegistryUploader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from componentrun.core.builds.identity import BuildInputs, Variables
    from componentrun.core.builds.login import HttpsLogin, SshLogin
    from componentrun.core.images.pullsecrets import PullSecret
    from componentrun.git.checkout import CheckedOut
    from componentrun.git.settings import GitSettings
    from componentrun.registry.settings import RegistrySettings

__all__ = ["Prepared", "prepare", "publish", "refused_as"]

_LABEL_PREFIX: Final = "org.opencontainers.image."


class Prepared(NamedTuple):
    """What was fetched, and how the image is made of it."""

    fetched: CheckedOut
    recipe: Recipe


def prepare(
    inputs: BuildInputs,
    login: HttpsLogin | SshLogin | None,
    code: Path,
    control: Path,
    home: str,
    settings: GitSettings,
) -> Prepared:
    """Fetch the repository, and write the script that runs the commands.

    Args:
        inputs: everything that goes into the build.
        login: how to log in to the git host.
        code: an empty folder, which the commands have as `inputs.folder`.
        control: an empty folder for the script and the recipe.
        home: a folder of the commands that is not part of the image.
        settings: limits and timeouts.

    Raises:
        BuildError: the repository can't be read or built.
        GitAwayError: the host can't answer now.
        OSError: a folder can't be written.
    """
    url = parse_git_url(inputs.url, "url")
    fetched = fetch(url, inputs.commit, inputs.context_dir, code, login, settings)
    recipe = choose_recipe(frozenset(fetched.files), inputs.folder, inputs.commands, inputs.entrypoint)
    steps = steps_of(recipe, are_dependencies_there=False)
    (control / SCRIPT_FILE).write_text(build_script(steps, inputs.folder, home, inputs.arguments))
    (control / RECIPE_FILE).write_bytes(dump_recipe(recipe))
    return Prepared(fetched, recipe)


async def publish(
    inputs: BuildInputs,
    pulls: list[PullSecret],
    pushes: list[PullSecret],
    code: Path,
    control: Path,
    settings: RegistrySettings,
) -> Pushed:
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
        RegistryAwayError: a registry was away in all attempts.
        OSError: a folder can't be read, or the disk is full.
    """
    recipe = parse_recipe((control / RECIPE_FILE).read_bytes())
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
            layers = _layers(stack, recipe, code, inputs.folder)
            changes = Changes(recipe.entrypoint, inputs.folder, recipe.environment, _labels(inputs))
            return await push(uploader, client, parent, layers, changes, inputs.name)


@contextmanager
def refused_as(problem: BuildProblem) -> Iterator[None]:
    """Turn the refusal of a registry into an error of the build, which says whose registry it was."""
    try:
        yield
    except ImageError as error:
        raise BuildError(problem, error.summary, error.advice) from error


def _layers(stack: ExitStack, recipe: Recipe, code: Path, folder: str) -> list[LayerFile]:
    """A layer of dependencies, if there are any, and one of everything else."""
    below = recipe.dependencies.folder if recipe.dependencies is not None else ""
    # A file of requirements may be empty; and what is a link may lead anywhere.
    has_dependencies = below and (code / below).is_dir() and not (code / below).is_symlink()
    layers = []
    if has_dependencies:
        layers.append(
            stack.enter_context(
                layer_file(entries_of(code, below), folder, "componentrun: dependencies", hides_below=True)
            )
        )
    rest = entries_of(code, without=below if has_dependencies else "")
    layers.append(stack.enter_context(layer_file(rest, folder, "componentrun: code", hides_below=not layers)))
    return layers


def _labels(inputs: BuildInputs) -> Variables:
    name, _, digest = inputs.parent.partition("@")
    return (
        (f"{_LABEL_PREFIX}base.digest", digest),
        (f"{_LABEL_PREFIX}base.name", name),
        (f"{_LABEL_PREFIX}revision", inputs.commit),
        (f"{_LABEL_PREFIX}source", inputs.url),
    )
