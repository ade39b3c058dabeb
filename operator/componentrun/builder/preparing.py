"""The step before the commands of a build: the repository is fetched with the git login.

It writes the script that runs the commands in the parent image, and the recipe for the step that pushes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from componentrun.builder.retrying import with_git_retries
from componentrun.core.builds.conventions import Recipe, choose_recipe, dump_recipe
from componentrun.core.builds.exchange import RECIPE_FILE, SCRIPT_FILE
from componentrun.core.builds.lockfiles import npm, uv
from componentrun.core.builds.script import build_script, steps_of
from componentrun.core.builds.source import parse_git_url
from componentrun.git.fetch import fetch

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.core.builds.identity import BuildInputs
    from componentrun.core.builds.login import HttpsLogin, SshLogin
    from componentrun.git.checkout import CheckedOut
    from componentrun.git.settings import GitSettings

__all__ = ["Prepared", "prepare"]


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
        GitAwayError: the host was away in all attempts, or is not trusted.
        OSError: a folder can't be written.
    """
    url = parse_git_url(inputs.url, "url")
    # It downloads everything before it writes into the folder.
    fetched = with_git_retries(lambda: fetch(url, inputs.commit, inputs.context_dir, code, login, settings))
    recipe = choose_recipe(frozenset(fetched.files), inputs.folder, inputs.commands, inputs.entrypoint)
    _check_lock_file(recipe, code)
    steps = steps_of(recipe, are_dependencies_there=False)
    (control / SCRIPT_FILE).write_text(build_script(steps, inputs.folder, home, inputs.arguments))
    (control / RECIPE_FILE).write_bytes(dump_recipe(recipe))
    return Prepared(fetched, recipe)


def _check_lock_file(recipe: Recipe, code: Path) -> None:
    """Refuse a lock file that does not fit its project, before anything is installed from it."""
    files = () if recipe.dependencies is None else recipe.dependencies.files
    for module, check in ((uv, uv.check_uv_lock), (npm, npm.check_npm_lock)):
        paths = [code / name for name in (module.PROJECT_FILE, module.LOCK_FILE)]
        # What a link leads to may be anything.
        if module.LOCK_FILE in files and all(path.is_file() and not path.is_symlink() for path in paths):
            project, lock = (path.read_text(encoding="utf-8", errors="replace") for path in paths)
            check(project, lock)
