"""Commands for the languages that are recognised by their files.

The dependencies of a convention are installed into one folder. It becomes a layer of its own, which is built again only
if the files that it is made from change. Python packages are installed with `--target` and found by `PYTHONPATH`,
because a virtual environment needs a package that Debian's Python does not have, and contains absolute paths.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from componentrun.core.builds.errors import BuildError, BuildProblem

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Dependencies", "Recipe", "choose_recipe", "dump_recipe", "parse_recipe"]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """How dependencies are installed."""

    folder: str
    """The folder they are installed into, relative to the folder of the code."""
    files: tuple[str, ...]
    """The files that name them."""
    commands: tuple[str, ...]
    """Lines for the shell."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an image is made from a repository."""

    language: str
    """Name of the convention; empty if commands were given."""
    dependencies: Dependencies | None
    commands: tuple[str, ...]
    """Lines for the shell, run in the folder of the code after the dependencies are installed."""
    environment: tuple[tuple[str, str], ...]
    """Variables of the image, sorted by name."""
    entrypoint: tuple[str, ...]


def dump_recipe(recipe: Recipe) -> bytes:
    """The recipe as JSON, for the step that pushes."""
    return json.dumps(asdict(recipe), sort_keys=True).encode()


def parse_recipe(content: bytes) -> Recipe:
    """The recipe that `dump_recipe` wrote."""
    found = json.loads(content)
    there = found["dependencies"]
    dependencies = there and Dependencies(there["folder"], tuple(there["files"]), tuple(there["commands"]))
    environment = tuple((name, value) for name, value in found["environment"])
    return Recipe(found["language"], dependencies, tuple(found["commands"]), environment, tuple(found["entrypoint"]))


@dataclass(frozen=True, slots=True)
class _Convention:
    language: str
    manifests: tuple[tuple[str, tuple[str, ...]], ...]
    """Files that name dependencies, best first, each with the commands that install from it."""
    more_files: tuple[str, ...]
    """Other files that the dependencies depend on, if they are there."""
    folder: str
    programs: tuple[str, ...]
    """Files that are started, best first."""
    interpreter: tuple[str, ...]
    commands: tuple[str, ...]
    variable: str
    """Name of the variable with the path of the dependencies; empty if the interpreter finds them without it."""


_COMPILE: Final = (
    'PYTHONPATH= PYTHONSAFEPATH=1 python3 -c "import sys; sys.path[:] = filter(None, sys.path); '
    "import compileall, py_compile, re; "
    "compileall.compile_dir('{folder}', quiet=2, workers=0, rx={skipped}, "
    'invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"'
)
"""Compiled files with a time stamp would be compiled again at each start, because files in a layer have none. Packages
often contain a file that is not meant for this version of Python, so such files are skipped, as pip does. Nothing is
imported from the folder or from `PYTHONPATH`: code of the repository must not run, because it could change packages
that other commits get as well."""
_COMPILE_PACKAGES: Final = _COMPILE.format(folder=".packages", skipped=None)
_COMPILE_CODE: Final = _COMPILE.format(folder=".", skipped="re.compile('/[.]packages/')")
_PIP: Final = "python3 -m pip install --quiet --disable-pip-version-check --no-input --no-cache-dir --no-compile"

_CONVENTIONS: Final = (
    _Convention(
        "Python",
        (
            (
                "uv.lock",
                (
                    'uv export --quiet --frozen --no-dev --no-emit-project --output-file "$HOME/requirements.txt"',
                    'uv pip install --quiet --no-cache --target .packages --requirement "$HOME/requirements.txt"',
                    _COMPILE_PACKAGES,
                ),
            ),
            (
                "requirements.txt",
                (f"{_PIP} --target .packages --requirement requirements.txt", _COMPILE_PACKAGES),
            ),
        ),
        ("pyproject.toml", ".python-version"),
        ".packages",
        ("main.py", "src/main.py", "component.py", "src/component.py"),
        ("python3", "-u"),
        (_COMPILE_CODE,),
        "PYTHONPATH",
    ),
    _Convention(
        "Node",
        (
            ("package-lock.json", ("npm ci --omit=dev --no-audit --no-fund --loglevel=error",)),
            ("package.json", ("npm install --omit=dev --no-save --no-audit --no-fund --loglevel=error",)),
        ),
        ("package.json", ".npmrc"),
        "node_modules",
        ("main.js", "src/main.js", "index.js", "src/index.js"),
        ("node",),
        (),
        "",
    ),
    _Convention(
        "R",
        (
            (
                "renv.lock",
                (
                    "mkdir -p .library",
                    "Rscript -e 'renv::restore(library = normalizePath(\".library\"), prompt = FALSE)'",
                ),
            ),
        ),
        (),
        ".library",
        ("main.R", "src/main.R"),
        ("Rscript",),
        (),
        "R_LIBS",
    ),
)


def choose_recipe(
    files: Collection[str], folder: str, commands: tuple[str, ...] = (), entrypoint: tuple[str, ...] = ()
) -> Recipe:
    """The recipe for a repository.

    Args:
        files: paths of its files, relative to the folder that is built.
        folder: absolute path of that folder in the image.
        commands: lines for the shell that replace those of a convention; empty: a convention.
        entrypoint: what the image starts; empty: the program that the convention finds.

    Raises:
        BuildError: no convention or several ones match, or there is nothing to start.
    """
    if commands:
        return Recipe("", None, commands, (), entrypoint or _any_entrypoint(files, folder))
    matching = [item for item in _CONVENTIONS if _matches(item, files)]
    if not matching:
        raise BuildError(
            BuildProblem.NO_CONVENTION,
            "nothing tells how to build the repository: it has none of "
            + ", ".join(f"`{name}`" for item in _CONVENTIONS for name in _marks(item)),
            "Add one of them, correct `contextDir`, or set `commands`.",
        )
    if len(matching) > 1:
        found = ", ".join(f"`{_mark(item, files)}` ({item.language})" for item in matching)
        raise BuildError(
            BuildProblem.SEVERAL_CONVENTIONS,
            f"the repository has files of several languages: {found}",
            "Set `commands` and `entrypoint`, or `contextDir` to a folder with one language.",
        )
    return _recipe(matching[0], files, folder, entrypoint)


def _marks(convention: _Convention) -> tuple[str, ...]:
    return (*(name for name, _ in convention.manifests), *convention.programs)


def _mark(convention: _Convention, files: Collection[str]) -> str:
    """The file by which a convention was recognised."""
    return next(name for name in _marks(convention) if name in files)


def _matches(convention: _Convention, files: Collection[str]) -> bool:
    return any(name in files for name in _marks(convention))


def _recipe(convention: _Convention, files: Collection[str], folder: str, entrypoint: tuple[str, ...]) -> Recipe:
    dependencies = None
    for name, commands in convention.manifests:
        if name in files:
            also = tuple(other for other in convention.more_files if other in files and other != name)
            dependencies = Dependencies(convention.folder, (name, *also), commands)
            break
    has_variable = dependencies is not None and convention.variable
    environment = ((convention.variable, f"{folder}/{convention.folder}"),) if has_variable else ()
    start = entrypoint or _entrypoint(convention, files, folder)
    if not start:
        raise _no_entrypoint(convention.programs)
    return Recipe(convention.language, dependencies, convention.commands, environment, start)


def _entrypoint(convention: _Convention, files: Collection[str], folder: str) -> tuple[str, ...]:
    program = next((name for name in convention.programs if name in files), None)
    return () if program is None else (*convention.interpreter, f"{folder}/{program}")


def _any_entrypoint(files: Collection[str], folder: str) -> tuple[str, ...]:
    """The program of the only language that has one."""
    found = [start for item in _CONVENTIONS if (start := _entrypoint(item, files, folder))]
    if len(found) != 1:
        raise _no_entrypoint([name for item in _CONVENTIONS for name in item.programs])
    return found[0]


def _no_entrypoint(programs: Collection[str]) -> BuildError:
    return BuildError(
        BuildProblem.NO_ENTRYPOINT,
        f"nothing tells what the image starts: expected one of {', '.join(f'`{name}`' for name in programs)}",
        "Add such a file, or set `entrypoint`.",
    )
