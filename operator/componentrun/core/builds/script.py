"""The shell script that runs the commands in the parent image.

Nothing of the operator is in that container: no program, no credentials. The script has to work with any POSIX shell.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from componentrun.core.builds.conventions import Recipe
    from componentrun.core.builds.dependencies.reuse import DependencyPlan
    from componentrun.core.builds.identity import Variables

__all__ = ["COMMAND_NOT_FOUND", "STEP_LINE", "Source", "Step", "build_script", "source_of", "steps_of"]

COMMAND_NOT_FOUND: Final = 127
"""Exit code of a shell that does not find a program."""
STEP_LINE: Final = "componentrun: step"
"""Beginning of the line that the script prints before each step."""
_ENVIRONMENT: Final = (
    # The same input is to give the same bytes.
    ("SOURCE_DATE_EPOCH", "315532800"),  # 1980-01-01, the first day that zip archives can have
    ("PYTHONHASHSEED", "0"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("LC_ALL", "C.UTF-8"),
    ("TZ", "UTC"),
    ("UV_PYTHON_DOWNLOADS", "never"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One line for the shell."""

    line: str
    has_arguments: bool = True
    """Whether the arguments of the build are in its environment."""


@dataclass(frozen=True, slots=True)
class Source:
    """The repository, if it is not in the folder of the code when the script starts."""

    path: str
    """The folder it is in."""
    after: int = 0
    """Number of steps that run before it is copied."""
    kept: str = ""
    """What these steps leave in the folder of the code; everything else is deleted. Empty: nothing is."""


def steps_of(recipe: Recipe, plan: DependencyPlan) -> tuple[Step, ...]:
    """The steps of a build, in their order.

    The commands of a convention for the code do not get the arguments. A variable such as `PYTHONPATH` could have
    them run code of the repository, which could change the dependencies.

    Args:
        recipe: how the image is made.
        plan: what is done about the dependencies.
    """
    first = tuple(Step(line) for line in _installing(recipe, plan))
    return (*first, *(Step(line, has_arguments=not recipe.language) for line in recipe.commands))


def source_of(recipe: Recipe, plan: DependencyPlan, path: str) -> Source | None:
    """When the repository is copied into the folder of the code; None: it is there.

    Args:
        recipe: how the image is made.
        plan: what is done about the dependencies.
        path: the folder that a convention has the repository fetched into.
    """
    if not recipe.language:
        return None
    if recipe.dependencies is None or not plan.is_apart:
        return Source(path)
    return Source(path, len(_installing(recipe, plan)), recipe.dependencies.folder)


def _installing(recipe: Recipe, plan: DependencyPlan) -> tuple[str, ...]:
    return () if recipe.dependencies is None or plan.layer is not None else recipe.dependencies.commands


def build_script(
    steps: tuple[Step, ...], folder: str, home: str, arguments: Variables, source: Source | None = None
) -> str:
    """The script.

    Each step runs in a shell of its own in the folder, so `cd` and variables of one step do not reach the next one.
    The script ends with the exit code of the first step that fails. Everything is printed to one stream: a container
    runtime reads two streams in any order, so that errors could appear before the line of their step.

    Args:
        steps: what it runs.
        folder: the folder of the code.
        home: a folder for caches and temporary files, which is not in the image. It has to exist.
        arguments: variables for the steps.
        source: where the repository is; None: in the folder of the code.
    """
    variables = [*_ENVIRONMENT, ("HOME", home), ("TMPDIR", home)]
    exports = [f"export {name}={shlex.quote(value)}" for name, value in sorted(arguments)]
    lines = ["exec 2>&1", "set -eu", "umask 022", *(f"export {name}={shlex.quote(value)}" for name, value in variables)]
    lines.append(f"set_arguments() {{ {'; '.join([*exports, ':'])}; }}")
    for number, step in enumerate(steps, start=1):
        if source is not None and source.after == number - 1:
            lines += _copying(source, folder)
        run = f"exec /bin/sh -c {shlex.quote(step.line)}"
        lines += [
            f"cd {shlex.quote(folder)}",
            f"echo {shlex.quote(f'{STEP_LINE} {number} of {len(steps)}: {step.line}')}",
            f"(set_arguments; {run})" if step.has_arguments else f"({run})",
        ]
    if source is not None and source.after == len(steps):
        lines += _copying(source, folder)
    return "\n".join(lines) + "\n"


def _copying(source: Source, folder: str) -> list[str]:
    """Lines that copy the repository into the folder of the code."""
    lines = [f"cd {shlex.quote(folder)}"]
    if source.kept:
        # Names that begin with a dot need patterns of their own. A pattern without a match is no file.
        delete = f'case $name in {shlex.quote(source.kept)}) ;; *) rm -rf -- "./$name" ;; esac'
        lines.append(f"for name in * .[!.]* ..?*; do {delete}; done")
    # Without -p: it would change the times of the folder, which belongs to root.
    return [*lines, f"cp -RP {shlex.quote(f'{source.path}/.')} ."]
