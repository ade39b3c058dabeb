"""The shell script that runs the commands in the parent image.

Nothing of the operator is in that container: no program, no credentials. The script has to work with any POSIX shell.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from componentrun.core.builds.conventions import Recipe
    from componentrun.core.builds.identity import Variables

__all__ = ["COMMAND_NOT_FOUND", "STEP_LINE", "Step", "build_script", "steps_of"]

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
    is_dependency: bool


def steps_of(recipe: Recipe, *, are_dependencies_there: bool) -> tuple[Step, ...]:
    """The steps of a build, in their order.

    Args:
        recipe: how the image is made.
        are_dependencies_there: whether the layer with the dependencies exists already.
    """
    dependencies = recipe.dependencies
    first = () if dependencies is None or are_dependencies_there else dependencies.commands
    return (*(Step(line, is_dependency=True) for line in first), *(Step(line, False) for line in recipe.commands))


def build_script(steps: tuple[Step, ...], folder: str, home: str, arguments: Variables) -> str:
    """The script.

    Each step runs in a shell of its own in the folder, so `cd` and variables of one step do not reach the next one.
    The script ends with the exit code of the first step that fails. Everything is printed to one stream: a container
    runtime reads two streams in any order, so that errors could appear before the line of their step.

    Args:
        steps: what it runs.
        folder: the folder of the code.
        home: a folder for caches and temporary files, which is not in the image. It has to exist.
        arguments: variables for the steps.
    """
    variables = [*_ENVIRONMENT, ("HOME", home), ("TMPDIR", home), *sorted(arguments)]
    lines = ["exec 2>&1", "set -eu", "umask 022", *(f"export {name}={shlex.quote(value)}" for name, value in variables)]
    for number, step in enumerate(steps, start=1):
        lines += [
            f"cd {shlex.quote(folder)}",
            f"echo {shlex.quote(f'{STEP_LINE} {number} of {len(steps)}: {step.line}')}",
            f"/bin/sh -c {shlex.quote(step.line)}",
        ]
    return "\n".join(lines) + "\n"
