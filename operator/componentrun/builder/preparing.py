"""The step before the commands of a build: the repository is fetched with the git login.

It writes the script that runs the commands in the parent image, and the recipe and the plan for the step that pushes.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.builder.retrying import with_git_retries
from componentrun.core.builds.conventions import Recipe, choose_recipe, dump_recipe
from componentrun.core.builds.dependencies.reuse import DependencyPlan, dump_plan, plan_dependencies
from componentrun.core.builds.exchange import PLAN_FILE, RECIPE_FILE, SCRIPT_FILE
from componentrun.core.builds.lockfiles import npm, uv
from componentrun.core.builds.script import build_script, source_of, steps_of
from componentrun.core.builds.source import parse_git_url
from componentrun.git.fetch import fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from componentrun.core.builds.dependencies.layer import DependencyLayer
    from componentrun.core.builds.identity import BuildInputs
    from componentrun.core.builds.login import HttpsLogin, SshLogin
    from componentrun.git.checkout import CheckedOut
    from componentrun.git.settings import GitSettings

__all__ = ["Folders", "Prepared", "prepare"]

_MOST_BYTES: Final = 16 * 2**20
"""Maximum size of a file that names dependencies. With a larger one, their layer is not used again."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders of a build, which are empty."""

    code: Path
    """What the commands have as the folder of the code."""
    source: Path
    """Where the repository is fetched to if a convention builds it."""
    control: Path
    """For the script, the recipe and the plan."""
    home: str
    """A folder of the commands that is not part of the image."""


class Prepared(NamedTuple):
    """What was fetched, and how the image is made of it."""

    fetched: CheckedOut
    recipe: Recipe
    plan: DependencyPlan


def prepare(
    inputs: BuildInputs,
    login: HttpsLogin | SshLogin | None,
    folders: Folders,
    settings: GitSettings,
    known: Iterable[DependencyLayer] = (),
) -> Prepared:
    """Fetch the repository, and write the script that runs the commands.

    Args:
        inputs: everything that goes into the build.
        login: how to log in to the git host.
        folders: where to write to.
        settings: limits and timeouts.
        known: layers of dependencies that the repository of the image may have.

    Raises:
        BuildError: the repository can't be read or built.
        GitAwayError: the host was away in all attempts, or is not trusted.
        OSError: a folder can't be written.
    """
    url = parse_git_url(inputs.url, "url")
    place = folders.code if inputs.commands else folders.source
    # It downloads everything before it writes into the folder.
    fetched = with_git_retries(lambda: fetch(url, inputs.commit, inputs.context_dir, place, login, settings))
    recipe = choose_recipe(frozenset(fetched.files), inputs.folder, inputs.commands, inputs.entrypoint)
    contents = _contents(place, () if recipe.dependencies is None else recipe.dependencies.files)
    _check_lock_file(contents)
    plan = plan_dependencies(recipe, fetched.files, contents, inputs, known)
    if plan.is_apart:
        _write(folders.code, contents)
    source = source_of(recipe, plan, str(folders.source))
    script = build_script(steps_of(recipe, plan), inputs.folder, folders.home, inputs.arguments, source)
    (folders.control / SCRIPT_FILE).write_text(script)
    (folders.control / RECIPE_FILE).write_bytes(dump_recipe(recipe))
    (folders.control / PLAN_FILE).write_bytes(dump_plan(plan))
    return Prepared(fetched, recipe, plan)


def _check_lock_file(contents: Mapping[str, bytes]) -> None:
    """Refuse a lock file that does not fit its project, before anything is installed from it."""
    for module, check in ((uv, uv.check_uv_lock), (npm, npm.check_npm_lock)):
        if {module.PROJECT_FILE, module.LOCK_FILE} <= contents.keys():
            project, lock = (
                contents[name].decode("utf-8", "replace") for name in (module.PROJECT_FILE, module.LOCK_FILE)
            )
            check(project, lock)


def _contents(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Contents of files, without those that are links or too large."""
    found = {name: (folder / name).lstat() for name in names}
    return {
        name: (folder / name).read_bytes()
        for name, status in found.items()
        if stat.S_ISREG(status.st_mode) and status.st_size <= _MOST_BYTES
    }


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    for name, content in contents.items():
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            file.write(content)
